//! `rhumb geoip lookup`: where the databases place an address, for people and for scripts.
//!
//! It asks the very code that places clients of live requests. Headers play no part here.

use std::fmt;
use std::io::{self, Write};
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::{Args, Subcommand};
use serde::Serialize;

use crate::config::GeoipFiles;
use crate::geo::{DatabaseInfo, Databases, countries};
use crate::model::{Location, LocationSource};

/// Arguments of `rhumb geoip`.
#[derive(Args, Debug)]
pub struct GeoipArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: GeoipCommand,
}

/// The commands of `rhumb geoip`.
#[derive(Subcommand, Debug)]
pub enum GeoipCommand {
    /// Says where addresses are.
    Lookup(LookupArgs),
}

/// Arguments of `rhumb geoip lookup`.
#[derive(Args, Debug)]
pub struct LookupArgs {
    /// IPv4 or IPv6 addresses.
    #[arg(required = true, value_name = "IP")]
    pub addresses: Vec<String>,
    /// A country or city database (.mmdb) in place of the embedded one; may be repeated.
    #[arg(long = "database", value_name = "FILE")]
    pub databases: Vec<PathBuf>,
    /// A database of autonomous systems (.mmdb).
    #[arg(long, value_name = "FILE")]
    pub asn_database: Option<PathBuf>,
    /// Writes one JSON object a line.
    #[arg(long)]
    pub json: bool,
}

/// Runs `rhumb geoip`. Exit code 0; 1 when a database or an address cannot be read.
pub fn run(args: &GeoipArgs) -> ExitCode {
    let GeoipCommand::Lookup(args) = &args.command;
    let (mut out, mut errors) = (io::stdout().lock(), io::stderr().lock());
    match lookup(args, SystemTime::now(), &mut out, &mut errors) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        // A reader such as `head` that has seen enough is no failure.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// Answers for every address that can be read; whether all could.
fn lookup(
    args: &LookupArgs,
    now: SystemTime,
    out: &mut impl Write,
    errors: &mut impl Write,
) -> io::Result<bool> {
    let files = GeoipFiles {
        databases: args.databases.clone(),
        asn_database: args.asn_database.clone(),
        ..GeoipFiles::default()
    };
    let databases = match Databases::open(&files) {
        Ok(databases) => databases,
        Err(error) => {
            writeln!(errors, "error: {error}")?;
            return Ok(false);
        }
    };
    if !args.json {
        for database in databases.info() {
            writeln!(out, "{}", Heading { database, now })?;
        }
        writeln!(
            out,
            "\n{:<39}  {:<2}  {:<28}  {:<4}  {:<17}  ASN",
            "ADDRESS", "CC", "COUNTRY", "SUB", "COORDINATES"
        )?;
    }
    let mut all_read = true;
    for text in &args.addresses {
        let Ok(address) = text.parse::<IpAddr>() else {
            writeln!(errors, "error: {text:?} is not an IPv4 or IPv6 address")?;
            all_read = false;
            continue;
        };
        let answer = Answer::new(&databases, address, now);
        if args.json {
            serde_json::to_writer(&mut *out, &answer)?;
            writeln!(out)?;
        } else {
            writeln!(out, "{answer}")?;
        }
    }
    out.flush()?;
    Ok(all_read)
}

/// What is known of one address.
#[derive(Serialize)]
struct Answer<'a> {
    address: IpAddr,
    country: Option<&'a str>,
    country_name: Option<&'static str>,
    continent: Option<&'static str>,
    subdivision: Option<String>,
    latitude: Option<f64>,
    longitude: Option<f64>,
    /// `database`, or `centroid` of the country.
    coordinates_from: Option<&'static str>,
    asn: Option<u32>,
    source: LocationSource,
    database: Option<Origin>,
}

/// The database that placed an address.
#[derive(Serialize)]
struct Origin {
    file: String,
    #[serde(rename = "type")]
    database_type: String,
    built: String,
    age_seconds: u64,
}

impl<'a> Answer<'a> {
    fn new(databases: &Databases, address: IpAddr, now: SystemTime) -> Answer<'a> {
        let Location { country, subdivision, coordinates, asn, source } = databases.lookup(address);
        let facts = country.and_then(countries::get);
        let centroid = facts.map(|facts| facts.centroid);
        Answer {
            address,
            country: facts.map(|facts| facts.code.as_str()),
            country_name: facts.map(|facts| facts.name),
            continent: facts.map(|facts| facts.continent.code()),
            subdivision: subdivision.map(|subdivision| subdivision.as_str().to_owned()),
            latitude: coordinates.map(|at| at.latitude),
            longitude: coordinates.map(|at| at.longitude),
            coordinates_from: coordinates
                .map(|_| if coordinates == centroid { "centroid" } else { "database" }),
            asn,
            source,
            database: databases.answering(address).map(|database| Origin::new(&database, now)),
        }
    }
}

impl Origin {
    fn new(database: &DatabaseInfo<'_>, now: SystemTime) -> Self {
        Self {
            file: database.origin.display().to_string(),
            database_type: database.database_type.to_owned(),
            built: timestamp(database.built),
            age_seconds: age(database, now).as_secs(),
        }
    }
}

impl fmt::Display for Answer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = match (self.latitude, self.longitude) {
            // The tilde says that it is only the middle of the country.
            (Some(latitude), Some(longitude)) => {
                let mark = if self.coordinates_from == Some("centroid") { "~" } else { "" };
                format!("{mark}{latitude:.3},{longitude:.3}")
            }
            _ => "-".to_owned(),
        };
        let line = format!(
            "{:<39}  {:<2}  {:<28}  {:<4}  {:<17}  {}",
            self.address.to_string(),
            self.country.unwrap_or("-"),
            self.country_name.unwrap_or("(unknown)"),
            self.subdivision.as_deref().unwrap_or("-"),
            place,
            self.asn.map_or_else(|| "-".to_owned(), |asn| format!("AS{asn}")),
        );
        f.write_str(line.trim_end())
    }
}

/// The line about one database above the table.
struct Heading<'a> {
    database: DatabaseInfo<'a>,
    now: SystemTime,
}

impl fmt::Display for Heading<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let DatabaseInfo { kind, origin, database_type, built } = self.database;
        let days = age(&self.database, self.now).as_secs() / 86_400;
        let built = timestamp(built);
        write!(
            f,
            "{kind} database {}: {database_type}, built {built}, {days} days old",
            origin.display()
        )
    }
}

fn age(database: &DatabaseInfo<'_>, now: SystemTime) -> Duration {
    now.duration_since(database.built).unwrap_or_default()
}

/// RFC 3339 in UTC. The calendar counts eras of 400 years from 1 March, so that a leap day is
/// the last of its year; a day number then falls into years and months by plain division.
fn timestamp(time: SystemTime) -> String {
    let seconds = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    // From 0000-03-01 to 1970-01-01.
    let days = seconds / 86_400 + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next_year) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    let year = era * 400 + year + next_year;
    let (hour, minute, second) = (seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Program {
        #[command(flatten)]
        geoip: GeoipArgs,
    }

    /// Exit, standard output, standard error of `rhumb geoip` with these arguments.
    fn run(arguments: &[&str]) -> (bool, String, String) {
        let program = Program::try_parse_from([&["geoip"], arguments].concat()).unwrap();
        let GeoipCommand::Lookup(args) = program.geoip.command;
        let now = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let (mut out, mut errors) = (Vec::new(), Vec::new());
        let good = lookup(&args, now, &mut out, &mut errors).unwrap();
        (good, String::from_utf8(out).unwrap(), String::from_utf8(errors).unwrap())
    }

    fn testdata(name: &str) -> String {
        format!("{}/src/geo/testdata/{name}", env!("CARGO_MANIFEST_DIR"))
    }

    #[test]
    fn the_table_names_the_database_and_the_country() {
        let (good, out, errors) = run(&["lookup", "8.8.8.8", "10.0.0.1"]);
        assert!(good && errors.is_empty(), "{errors}");
        let lines: Vec<_> = out.lines().collect();
        assert!(lines[0].contains("country ipvAll, built 2026-06-17T19:51:40Z, 211 days"), "{out}");
        assert!(lines[3].contains("US  United States of America"), "{out}");
        assert!(lines[3].contains("~39.8"), "{out}");
        assert!(lines[4].contains("-   (unknown)"), "{out}");
    }

    #[test]
    fn json_is_one_object_a_line() {
        let (city, asn) = (testdata("maxmind-city.mmdb"), testdata("maxmind-asn.mmdb"));
        let arguments = [
            "lookup",
            "--json",
            "81.2.69.1",
            "1.1.1.1",
            "--database",
            &city,
            "--asn-database",
            &asn,
        ];
        let (good, out, _) = run(&arguments);
        assert!(good);
        let lines: Vec<serde_json::Value> =
            out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0]["country"], "GB");
        assert_eq!(lines[0]["subdivision"], "ENG");
        assert_eq!(lines[0]["latitude"], 51.5142);
        assert_eq!(lines[0]["coordinates_from"], "database");
        assert_eq!(lines[0]["database"]["type"], "GeoLite2-City");
        assert_eq!(lines[1]["country"], serde_json::Value::Null);
        assert_eq!(lines[1]["asn"], 13335);
        assert_eq!(lines[1]["source"], "unknown");
    }

    #[test]
    fn a_bad_address_is_an_error_and_the_others_are_answered() {
        let (good, out, errors) = run(&["lookup", "--json", "1.2.3", "8.8.8.8", "x"]);
        assert!(!good);
        assert_eq!(out.lines().count(), 1);
        assert!(out.contains("\"US\""), "{out}");
        assert_eq!(errors.lines().count(), 2, "{errors}");
        assert!(errors.contains("\"1.2.3\""), "{errors}");
    }

    #[test]
    fn a_bad_database_is_an_error_with_its_path() {
        let (good, out, errors) = run(&["lookup", "8.8.8.8", "--database", "/nonexistent.mmdb"]);
        assert!(!good && out.is_empty());
        assert!(errors.contains("/nonexistent.mmdb"), "{errors}");
    }

    #[test]
    fn timestamps_are_those_of_the_calendar() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (951_868_800, "2000-03-01T00:00:00Z"),
            (1_735_689_599, "2024-12-31T23:59:59Z"),
            (1_781_725_900, "2026-06-17T19:51:40Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(timestamp(UNIX_EPOCH + Duration::from_secs(seconds)), text);
        }
    }
}
