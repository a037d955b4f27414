//! Names of tenants for made-up requests: an even sample of a file of any length.
//!
//! What the file says of homes is not looked at; the table knows that.

use std::io::{self, BufRead};

use crate::model::limits::{SIMULATED_TENANTS, TENANT_LENGTH};

/// Bytes of a line that are looked at.
const LINE_BYTES: u64 = 4 << 10;

/// Names of tenants.
#[derive(Clone, Debug, Default)]
pub struct TenantNames(Vec<Box<str>>);

impl TenantNames {
    /// The names.
    pub fn names(&self) -> &[Box<str>] {
        &self.0
    }
}

impl FromIterator<String> for TenantNames {
    fn from_iter<I: IntoIterator<Item = String>>(names: I) -> Self {
        Self(names.into_iter().take(SIMULATED_TENANTS).map(String::into_boxed_str).collect())
    }
}

/// At most [`SIMULATED_TENANTS`] names of a CSV file whose first field is the tenant, each line as
/// likely as any other (J. S. Vitter, "Random sampling with a reservoir", 1985).
///
/// # Errors
///
/// When the file cannot be read.
pub fn sample_tenants(input: &mut dyn BufRead, seed: u64) -> io::Result<TenantNames> {
    let mut draws = fastrand::Rng::with_seed(seed);
    let (mut names, mut seen, mut line) = (Vec::new(), 0_usize, Vec::new());
    loop {
        line.clear();
        if io::Read::take(&mut *input, LINE_BYTES).read_until(b'\n', &mut line)? == 0 {
            return Ok(TenantNames(names));
        }
        let Some(name) = name(&line) else { continue };
        if names.len() < SIMULATED_TENANTS {
            names.push(name.into());
        } else if let Some(slot) = names.get_mut(draws.usize(..=seen)) {
            *slot = name.into();
        }
        seen += 1;
    }
}

fn name(line: &[u8]) -> Option<&str> {
    let field = line.split(|byte| *byte == b',').next()?.trim_ascii();
    let name = std::str::from_utf8(field).ok()?.trim_matches('"');
    let is_name = !name.is_empty() && name.len() <= TENANT_LENGTH && !name.starts_with('#');
    (is_name && name != "tenant").then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_first_fields_without_header_and_remarks() {
        let file = "tenant,region\nacme,eu\n\n# old ones\n\"globex\",us,strict\n,eu\n";
        let names = sample_tenants(&mut file.as_bytes(), 1).unwrap();
        let names: Vec<_> = names.names().iter().map(|name| &**name).collect();
        assert_eq!(names, ["acme", "globex"]);
    }

    #[test]
    fn a_long_file_is_sampled_evenly_and_the_same_for_a_seed() {
        let count = SIMULATED_TENANTS * 3;
        let file: String = (0..count).map(|n| format!("t{n},eu\n")).collect();
        let sample = |seed| sample_tenants(&mut file.as_bytes(), seed).unwrap();
        let names = sample(7);
        assert_eq!(names.names().len(), SIMULATED_TENANTS);
        assert_eq!(names.names(), sample(7).names());
        let number = |name: &str| name[1..].parse::<usize>().unwrap();
        let late = names.names().iter().filter(|name| number(name) >= count / 2).count();
        assert!((late as f64 / SIMULATED_TENANTS as f64 - 0.5).abs() < 0.02, "{late}");
    }
}
