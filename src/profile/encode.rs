//! A profile as `pprof` reads it: the messages of `profile.proto` of github.com/google/pprof, as far as
//! there is something to say in them.

use std::collections::HashMap;
use std::time::UNIX_EPOCH;

use prost::Message;

use super::Profile;
use super::symbols::{Function, Symbols};
use crate::model::limits;

#[derive(Clone, PartialEq, Message)]
struct File {
    #[prost(message, repeated, tag = "1")]
    sample_type: Vec<ValueType>,
    #[prost(message, repeated, tag = "2")]
    sample: Vec<Sample>,
    #[prost(message, repeated, tag = "3")]
    mapping: Vec<Mapping>,
    #[prost(message, repeated, tag = "4")]
    location: Vec<Location>,
    #[prost(message, repeated, tag = "5")]
    function: Vec<FunctionEntry>,
    #[prost(string, repeated, tag = "6")]
    string_table: Vec<String>,
    #[prost(int64, tag = "9")]
    time_nanos: i64,
    #[prost(int64, tag = "10")]
    duration_nanos: i64,
    #[prost(message, optional, tag = "11")]
    period_type: Option<ValueType>,
    #[prost(int64, tag = "12")]
    period: i64,
    #[prost(int64, repeated, tag = "13")]
    comment: Vec<i64>,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct ValueType {
    #[prost(int64, tag = "1")]
    kind: i64,
    #[prost(int64, tag = "2")]
    unit: i64,
}

#[derive(Clone, PartialEq, Message)]
struct Sample {
    #[prost(uint64, repeated, tag = "1")]
    location_id: Vec<u64>,
    #[prost(int64, repeated, tag = "2")]
    value: Vec<i64>,
    #[prost(message, repeated, tag = "3")]
    label: Vec<Label>,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct Label {
    #[prost(int64, tag = "1")]
    key: i64,
    #[prost(int64, tag = "2")]
    text: i64,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct Mapping {
    #[prost(uint64, tag = "1")]
    id: u64,
    #[prost(int64, tag = "5")]
    filename: i64,
    #[prost(bool, tag = "7")]
    has_functions: bool,
    #[prost(bool, tag = "8")]
    has_filenames: bool,
    #[prost(bool, tag = "9")]
    has_line_numbers: bool,
    #[prost(bool, tag = "10")]
    has_inline_frames: bool,
}

#[derive(Clone, PartialEq, Message)]
struct Location {
    #[prost(uint64, tag = "1")]
    id: u64,
    #[prost(uint64, tag = "2")]
    mapping_id: u64,
    #[prost(uint64, tag = "3")]
    address: u64,
    #[prost(message, repeated, tag = "4")]
    line: Vec<Line>,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct Line {
    #[prost(uint64, tag = "1")]
    function_id: u64,
    #[prost(int64, tag = "2")]
    line: i64,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct FunctionEntry {
    #[prost(uint64, tag = "1")]
    id: u64,
    #[prost(int64, tag = "2")]
    name: i64,
    #[prost(int64, tag = "3")]
    system_name: i64,
    #[prost(int64, tag = "4")]
    filename: i64,
}

/// Texts and functions by their numbers; text 0 is empty.
#[derive(Default)]
struct Tables {
    texts: HashMap<String, i64>,
    strings: Vec<String>,
    known: HashMap<(i64, i64), u64>,
    functions: Vec<FunctionEntry>,
}

impl Tables {
    fn text(&mut self, text: &str) -> i64 {
        if self.strings.is_empty() {
            self.strings.push(String::new());
            self.texts.insert(String::new(), 0);
        }
        if let Some(number) = self.texts.get(text) {
            return *number;
        }
        let number = number(self.strings.len());
        self.strings.push(text.to_owned());
        self.texts.insert(text.to_owned(), number);
        number
    }

    fn function(&mut self, function: &Function) -> u64 {
        let (name, filename) = (self.text(&function.name), self.text(&function.file));
        let id = self.functions.len() as u64 + 1;
        let known = *self.known.entry((name, filename)).or_insert(id);
        if known == id {
            self.functions.push(FunctionEntry { id, name, system_name: name, filename });
        }
        known
    }
}

fn number(count: impl TryInto<i64>) -> i64 {
    count.try_into().unwrap_or(i64::MAX)
}

/// The profile in bytes.
pub(super) fn pprof(profile: &Profile, symbols: &Symbols) -> Vec<u8> {
    let mut tables = Tables::default();
    let period = 1_000_000_000 / number(limits::PROFILE_HERTZ);
    let mut kind = |kind, unit| ValueType { kind: tables.text(kind), unit: tables.text(unit) };
    let (samples, cpu) = (kind("samples", "count"), kind("cpu", "nanoseconds"));
    let mut addresses: Vec<_> = symbols.keys().copied().collect();
    addresses.sort_unstable();
    let locations = locations(&addresses, symbols, &mut tables);
    let ids: HashMap<u64, u64> = addresses.into_iter().zip(1..).collect();
    let key = tables.text("thread");
    let mut stacks: Vec<_> = profile.stacks.iter().collect();
    stacks.sort_unstable();
    let sample = stacks
        .into_iter()
        .map(|((thread, stack), count)| {
            let count = number(*count);
            let name = profile.threads.get(*thread).map_or("", String::as_str);
            Sample {
                location_id: stack.iter().filter_map(|address| ids.get(address).copied()).collect(),
                value: vec![count, count.saturating_mul(period)],
                label: vec![Label { key, text: tables.text(name) }],
            }
        })
        .collect();
    let comment = match profile.lost {
        0 => Vec::new(),
        lost => vec![tables.text(&format!("{lost} samples found no room and are not in here"))],
    };
    let mapping = Mapping {
        id: 1,
        filename: tables.text("rhumb"),
        has_functions: true,
        has_filenames: true,
        has_line_numbers: true,
        has_inline_frames: true,
    };
    let began = profile.began.and_then(|began| began.duration_since(UNIX_EPOCH).ok());
    let file = File {
        sample_type: vec![samples, cpu],
        sample,
        mapping: vec![mapping],
        location: locations,
        function: tables.functions,
        string_table: tables.strings,
        time_nanos: began.map_or(0, |began| number(began.as_nanos())),
        duration_nanos: number(profile.duration.as_nanos()),
        period_type: Some(cpu),
        period,
        comment,
    };
    file.encode_to_vec()
}

fn locations(addresses: &[u64], symbols: &Symbols, tables: &mut Tables) -> Vec<Location> {
    let location = |(address, id): (&u64, u64)| {
        let functions = symbols.get(address).map_or(&[][..], Vec::as_slice);
        let line = functions
            .iter()
            .map(|function| Line {
                function_id: tables.function(function),
                line: function.line.into(),
            })
            .collect();
        Location { id, mapping_id: 1, address: *address, line }
    };
    addresses.iter().zip(1..).map(location).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_says_who_called_whom_and_how_often() {
        let function =
            |name: &str| Function { name: name.to_owned(), file: "f.rs".to_owned(), line: 7 };
        let symbols = Symbols::from([
            (10, vec![function("inlined"), function("leaf")]),
            (20, vec![function("root")]),
        ]);
        let stacks = HashMap::from([((0, vec![10, 20]), 3), ((1, vec![20]), 1), ((1, vec![]), 2)]);
        let threads = ["worker", "control"].map(str::to_owned).into();
        let profile = Profile { threads, stacks, lost: 5, ..Profile::default() };
        let file = File::decode(&*pprof(&profile, &symbols)).unwrap();
        let text = |number: i64| &*file.string_table[number as usize];
        assert_eq!(text(0), "");
        assert_eq!(text(file.comment[0]), "5 samples found no room and are not in here");
        let units: Vec<_> =
            file.sample_type.iter().map(|kind| (text(kind.kind), text(kind.unit))).collect();
        assert_eq!(units, [("samples", "count"), ("cpu", "nanoseconds")]);
        let mut told: Vec<_> = file
            .sample
            .iter()
            .map(|sample| {
                let stack: Vec<_> = sample
                    .location_id
                    .iter()
                    .map(|id| file.location.iter().find(|location| location.id == *id).unwrap())
                    .flat_map(|location| &location.line)
                    .map(|line| {
                        let id = line.function_id;
                        let function = file.function.iter().find(|function| function.id == id);
                        text(function.unwrap().name)
                    })
                    .collect();
                (text(sample.label[0].text), stack.join(" "), sample.value[0])
            })
            .collect();
        told.sort_unstable();
        let expected =
            [("control", "", 2), ("control", "root", 1), ("worker", "inlined leaf root", 3)];
        assert_eq!(told, expected.map(|(thread, stack, count)| (thread, stack.to_owned(), count)));
        assert_eq!(file.function.len(), 3, "each once");
        assert_eq!(file.sample[0].value[1], file.sample[0].value[0] * file.period);
    }
}
