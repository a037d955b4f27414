//! A random world and what is asked of it, in the words of the reference: strings and lists. Also
//! how it becomes what the decision takes: a table, facts, conditions.

use std::sync::Arc;

use crate::config::Config;
use crate::routing::tests::fixture::{Request, continent_of};
use crate::routing::{
    Conditions, DeploymentHealth, DeploymentIndex, DeploymentOverrides, DeploymentPlan, Draws,
    EndpointIds, Facts, Forced, LatencyTable, Measured, Plan, RegionHealth, RegionLoad,
    RegionNumber, RegionSet, Sources, Table, TenantTable, Words,
};

/// The moment that everything lies around, in Unix seconds: a Tuesday, 22:13:20 UTC.
pub(super) const NOW: u64 = 1_700_000_000;

/// Everything but the request and the moment.
#[derive(Clone, Debug)]
pub(super) struct World {
    /// The configuration.
    pub(super) config: Config,
    /// The latency table.
    pub(super) rows: Vec<Row>,
    /// The file of tenants.
    pub(super) homes: Vec<Home>,
    /// Its time.
    pub(super) homes_modified: Option<u64>,
    /// How each deployment stands.
    pub(super) standings: Vec<Standing>,
}

/// A row of the latency table.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) client: &'static str,
    pub(super) region: String,
    pub(super) ms: f64,
    pub(super) updated: Option<u64>,
}

/// A row of the file of tenants.
#[derive(Clone, Debug)]
pub(super) struct Home {
    pub(super) tenant: &'static str,
    pub(super) region: String,
    pub(super) strict: bool,
}

/// How a deployment stands at the moment.
#[derive(Clone, Debug)]
pub(super) struct Standing {
    /// By region, in listed order.
    pub(super) health: Vec<RegionHealth>,
    /// What the operator took out.
    pub(super) drained: Vec<String>,
    /// The operator's order.
    pub(super) shift: Vec<String>,
}

/// A request, what it says, and what is known at that moment.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) request: Request,
    /// A region, and whether an origin said so.
    pub(super) force: Option<(String, bool)>,
    pub(super) prefer: Option<String>,
    pub(super) affinity: Option<String>,
    pub(super) written: Option<String>,
    pub(super) class: Option<&'static str>,
    /// By position of the region in the configuration, as the measurements are.
    pub(super) load: Vec<RegionLoad>,
    pub(super) measured: Vec<Measured>,
    pub(super) network: Vec<Measured>,
    pub(super) incumbent: Option<u16>,
    pub(super) draws: Draws,
}

impl World {
    /// As the decision takes it.
    pub(super) fn table(&self) -> Table {
        let latency = LatencyTable::parse(&self.latency_csv(), &|_| true).unwrap();
        let tenants =
            TenantTable::parse(self.tenants_csv().as_bytes(), self.homes_modified, 7, &|_| true);
        let tenants = Arc::new(tenants.unwrap());
        let sources = Sources {
            latency: Some(&latency),
            tenants: Some(&tenants),
            ..Sources::none(continent_of)
        };
        let plan = Plan::compile(&self.config, sources, &mut EndpointIds::default());
        let mut table = Table::healthy(1, Arc::new(plan));
        for (index, standing) in (0..).map(DeploymentIndex).zip(&self.standings) {
            let overrides = standing.overrides(table.plan.deployment(index).unwrap());
            let health = DeploymentHealth::new(standing.health.iter().copied());
            table = table.with_health(1, index, health).with_overrides(index, overrides);
        }
        table
    }

    fn latency_csv(&self) -> String {
        let mut csv = "client,region,rtt_ms,updated\n".to_owned();
        for Row { client, region, ms, updated } in &self.rows {
            let updated = updated.map(|updated| updated.to_string()).unwrap_or_default();
            csv += &format!("{client},{region},{ms},{updated}\n");
        }
        csv
    }

    fn tenants_csv(&self) -> String {
        let mut csv = "tenant,region,strict\n".to_owned();
        for Home { tenant, region, strict } in &self.homes {
            csv += &format!("{tenant},{region},{}\n", if *strict { "strict" } else { "" });
        }
        csv
    }
}

impl Standing {
    fn overrides(&self, deployment: &DeploymentPlan) -> DeploymentOverrides {
        let position = |id: &String| deployment.position(id).unwrap();
        let drained: RegionSet = self.drained.iter().map(position).collect();
        DeploymentOverrides { drained, shift: self.shift.iter().map(position).collect() }
    }
}

impl Asked {
    pub(super) fn facts(&self) -> Facts<'_> {
        let force = self.force.as_ref();
        let words = Words {
            force: force.map(|(region, replay)| Forced { region, replay: *replay }),
            prefer: self.prefer.as_deref(),
            affinity: self.affinity.as_deref(),
            written: self.written.as_deref(),
            class: self.class.map(str::as_bytes),
        };
        Facts { words, ..self.request.facts() }
    }

    pub(super) fn conditions(&self) -> Conditions<'_> {
        Conditions {
            load: &self.load,
            measured: &self.measured,
            network: &self.network,
            incumbent: self.incumbent.map(RegionNumber),
        }
    }
}
