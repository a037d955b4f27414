//! Counting responses by status code without a label that an origin could grow: the registered
//! codes each have a place, all others share one.

use super::Counter;

/// Registered status codes (IANA HTTP Status Code Registry), less the interim ones.
const CODES: [u16; 59] = [
    101, 200, 201, 202, 203, 204, 205, 206, 207, 208, 226, 300, 301, 302, 303, 304, 305, 307, 308,
    400, 401, 402, 403, 404, 405, 406, 407, 408, 409, 410, 411, 412, 413, 414, 415, 416, 417, 418,
    421, 422, 423, 424, 425, 426, 428, 429, 431, 451, 499, 500, 501, 502, 503, 504, 505, 506, 507,
    508, 511,
];

/// Where each code of 0..=599 is counted.
static PLACES: [u8; 600] = places();

const fn places() -> [u8; 600] {
    let mut out = [CODES.len() as u8; 600];
    let mut i = 0;
    while i < CODES.len() {
        out[CODES[i] as usize] = i as u8;
        i += 1;
    }
    out
}

/// One count a status code.
#[derive(Debug)]
pub struct StatusCodes([Counter; CODES.len() + 1]);

impl Default for StatusCodes {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Counter::default()))
    }
}

impl StatusCodes {
    /// Counts one response.
    #[inline]
    pub fn increment(&self, code: u16) {
        let place = PLACES.get(usize::from(code)).map_or(CODES.len(), |place| usize::from(*place));
        if let Some(counter) = self.0.get(place) {
            counter.increment();
        }
    }

    /// The codes that occurred, as the label's value and the count.
    pub fn counts(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        self.0.iter().enumerate().filter_map(|(place, counter)| {
            let count = counter.get();
            (count > 0).then(|| (label(place), count))
        })
    }
}

fn label(place: usize) -> &'static str {
    const TEXT: [&str; CODES.len() + 1] = [
        "101", "200", "201", "202", "203", "204", "205", "206", "207", "208", "226", "300", "301",
        "302", "303", "304", "305", "307", "308", "400", "401", "402", "403", "404", "405", "406",
        "407", "408", "409", "410", "411", "412", "413", "414", "415", "416", "417", "418", "421",
        "422", "423", "424", "425", "426", "428", "429", "431", "451", "499", "500", "501", "502",
        "503", "504", "505", "506", "507", "508", "511", "other",
    ];
    TEXT.get(place).copied().unwrap_or("other")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_counted_under_its_own_label_or_other() {
        for code in 0..=u16::MAX {
            let codes = StatusCodes::default();
            codes.increment(code);
            let counts: Vec<_> = codes.counts().collect();
            let expected =
                if CODES.contains(&code) { code.to_string() } else { "other".to_owned() };
            assert_eq!(counts, [(expected.as_str(), 1)], "{code}");
        }
    }
}
