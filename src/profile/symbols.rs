//! Functions by the addresses that were seen.

use std::collections::HashMap;

use super::Profile;

/// A function at an address. Several, where some were put into others by the compiler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Function {
    pub(super) name: String,
    pub(super) file: String,
    pub(super) line: u32,
}

/// The functions at every address, innermost first; never none.
pub(super) type Symbols = HashMap<u64, Vec<Function>>;

/// Finds the functions of everything that was seen. Takes a second or two, for it reads the debugging
/// information of the binary.
pub(super) fn resolve(profile: &Profile) -> Symbols {
    let mut symbols = Symbols::new();
    for (_, stack) in profile.stacks.keys() {
        for (depth, address) in stack.iter().enumerate() {
            symbols.entry(*address).or_insert_with(|| functions(*address, depth > 0));
        }
    }
    // It would be kept for the next time, which is not soon.
    backtrace::clear_symbol_cache();
    symbols
}

/// Behind a call, the address is that of the next instruction, which may belong to something else.
/// The library takes that for granted and looks one byte before it.
fn functions(address: u64, is_behind_call: bool) -> Vec<Function> {
    let place = usize::try_from(address).unwrap_or_default();
    let place = place.saturating_add(usize::from(!is_behind_call));
    let mut found = Vec::new();
    backtrace::resolve(std::ptr::without_provenance_mut(place), |symbol| {
        found.push(Function {
            name: symbol.name().map_or_else(|| unknown(address), |name| format!("{name:#}")),
            file: symbol.filename().map_or_else(String::new, |file| file.display().to_string()),
            line: symbol.lineno().unwrap_or_default(),
        });
    });
    if found.is_empty() {
        found.push(Function { name: unknown(address), file: String::new(), line: 0 });
    }
    found
}

fn unknown(address: u64) -> String {
    format!("{address:#x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_has_a_name() {
        let here = every_address_has_a_name as *const () as usize as u64;
        let stacks = HashMap::from([((0, vec![here, 1]), 1)]);
        let symbols = resolve(&Profile { stacks, ..Profile::default() });
        assert!(symbols[&here][0].name.contains("every_address_has_a_name"), "{symbols:?}");
        assert_eq!(symbols[&1], [Function { name: "0x1".into(), file: String::new(), line: 0 }]);
    }
}
