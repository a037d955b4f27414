//! How many rules of a large book are looked at for one request, and what a book takes.

use super::RuleBook;
use super::clues::Clues;
use super::filing::FileIndex;
use crate::config::{HeaderMatch, HostPattern, NamedMatch, Pattern, Rule, TextMatch};
use crate::model::limits::{CLUES_PER_KIND, RULE_FILING_COPIES, RULES_SCANNED};
use crate::model::{Country, Subdivision};
use crate::routing::tests::fixture::{Request, continent_of, country, header, rule};

const MANY: u32 = 10_000;

fn book(rules: &[Rule]) -> RuleBook {
    RuleBook::compile("api", rules, 3, continent_of, |_| None)
}

fn many(one: impl Fn(u32) -> Rule) -> RuleBook {
    book(&(0..MANY).map(one).collect::<Vec<_>>())
}

/// Rules that are looked at if none of them holds.
fn looked_at(book: &RuleBook, request: &Request) -> usize {
    let mut clues = Clues::new();
    book.lexicon.read(&request.facts(), &mut clues);
    let mut open = vec![FileIndex::OUTERMOST];
    let mut count = 0;
    while let Some(index) = open.pop() {
        let file = book.files.file(index).unwrap();
        count += book.files.entries(file).len();
        for kind in file.kinds.iter() {
            let inside = clues.of(kind).iter();
            open.extend(inside.filter_map(|clue| book.files.inside(index, *clue)));
        }
    }
    count
}

fn empty() -> Rule {
    rule("r", &["eu"], &[])
}

fn with_header(value: TextMatch) -> Rule {
    let name = http::HeaderName::from_static("x-a");
    Rule { header_conditions: vec![HeaderMatch { name, value }], ..empty() }
}

fn named(value: String) -> NamedMatch {
    NamedMatch { name: "p".into(), value: TextMatch::Exact(value.into()) }
}

fn two_letters(n: u32) -> Country {
    let letter = |n: u32| b'A' + (n % 26) as u8;
    Country::new(&[letter(n / 26), letter(n)]).unwrap()
}

#[test]
fn rules_of_one_kind_are_told_apart_by_it() {
    let mut request = Request::default()
        .to("h77.example", "/p77/x")
        .with_address("10.0.77.1")
        .with_header("x-a", "77.")
        .with_header("cookie", "p=77");
    request.query = "p=77".to_owned();
    request.tenant = Some("t77".to_owned());
    request.location.asn = Some(77);
    let text = |n: u32| format!("{n}.").into();
    let books = [
        many(|n| with_header(TextMatch::Exact(text(n)))),
        many(|n| with_header(TextMatch::Prefix(text(n)))),
        many(|n| Rule { tenants: vec![format!("t{n}").into()], ..empty() }),
        many(|n| Rule { source_asns: vec![n], ..empty() }),
        many(|n| Rule {
            source_cidrs: vec![format!("10.{}.{}.0/24", n / 256, n % 256).parse().unwrap()],
            ..empty()
        }),
        many(|n| Rule { hosts: vec![HostPattern::Exact(format!("h{n}.example"))], ..empty() }),
        many(|n| Rule { path_prefixes: vec![format!("/p{n}")], ..empty() }),
        many(|n| Rule { query_conditions: vec![named(n.to_string())], ..empty() }),
        many(|n| Rule { cookie_conditions: vec![named(n.to_string())], ..empty() }),
    ];
    for (number, book) in books.iter().enumerate() {
        assert_eq!(looked_at(book, &request), 1, "book {number}");
        assert_eq!(book.find(&request.facts()).unwrap().index.0, 77, "book {number}");
        let other = Request::default();
        assert_eq!(looked_at(book, &other), 0, "book {number}");
    }
}

#[test]
fn a_condition_that_all_share_does_not_hide_the_others() {
    let prefix = many(|n| Rule {
        source_countries: vec![country("DE")],
        ..with_header(TextMatch::Prefix(format!("{n}-").into()))
    });
    let request = Request::default().in_country("DE").with_header("x-a", "7777-x");
    assert_eq!(looked_at(&prefix, &request), 1);
    assert_eq!(prefix.find(&request.facts()).unwrap().index.0, 7777);
    let suffix = many(|n| Rule {
        source_countries: vec![country("DE")],
        ..with_header(TextMatch::Suffix(format!("-{n}").into()))
    });
    assert_eq!(looked_at(&suffix, &Request::default().with_header("x-a", "x-7777")), 1);
}

#[test]
fn rules_that_are_told_apart_by_two_conditions_are_filed_under_both() {
    let book = many(|n| Rule {
        source_countries: vec![two_letters(n % 100)],
        path_prefixes: vec![format!("/p{}", n / 100)],
        ..empty()
    });
    let request = Request::default().in_country("BB").to("h", "/p33/x");
    assert_eq!(looked_at(&book, &request), 1);
    assert_eq!(book.find(&request.facts()).unwrap().index.0, 3327);
    let lists = many(|n| Rule {
        source_countries: (n % 100..n % 100 + 5).map(two_letters).collect(),
        path_prefixes: vec![format!("/p{}", n / 100), "/never".to_owned()],
        ..empty()
    });
    // Five hold, and none is kept behind the first of them.
    assert_eq!(looked_at(&lists, &request), 1);
}

#[test]
fn nothing_is_kept_behind_a_rule_that_always_holds() {
    let same = many(|_| Rule { header_conditions: vec![header("x-a", "1")], ..empty() });
    assert_eq!(same.files.entries.len(), 1);
    let rules: Vec<_> = std::iter::once(empty())
        .chain((0..MANY).map(|n| Rule { source_asns: vec![n], ..empty() }))
        .collect();
    assert_eq!(book(&rules).files.entries.len(), 1);
}

#[test]
fn lists_are_not_multiplied_without_end() {
    let rules: Vec<_> = (0..1_000)
        .map(|n| Rule {
            source_countries: (0..50).map(two_letters).collect(),
            tenants: (0..50).map(|m| format!("t{}", m + n % 7).into()).collect(),
            source_asns: (0..50).collect(),
            methods: vec![http::Method::GET],
            percent: Some(n),
            ..empty()
        })
        .collect();
    let most = rules.len() * 50.max(RULE_FILING_COPIES as usize);
    let filed = book(&rules).files.entries.len();
    assert!(filed <= most, "{filed} are more than {most}");
}

#[test]
fn rules_that_differ_in_expressions_alone_are_scanned_but_only_where_their_header_is() {
    let patterns: Vec<_> = (0..200).map(|n| Pattern::new(&format!("^{n}$")).unwrap()).collect();
    let rules: Vec<_> =
        patterns.iter().map(|pattern| with_header(TextMatch::Regex(pattern.clone()))).collect();
    let book = book(&rules);
    assert_eq!(looked_at(&book, &Request::default()), 0);
    let request = Request::default().with_header("x-a", "150");
    assert_eq!(looked_at(&book, &request), 200);
    // Also behind those whose results are remembered.
    assert_eq!(book.find(&request.facts()).unwrap().index.0, 150);
    let last = Request::default().with_header("x-a", "199");
    assert_eq!(book.find(&last.facts()).unwrap().index.0, 199);
    assert!(book.find(&Request::default().with_header("x-a", "200").facts()).is_none());
}

#[test]
fn a_few_rules_are_not_worth_filing() {
    let part = Subdivision::new("CA").unwrap();
    let few =
        vec![Rule { source_subdivisions: vec![(country("US"), part)], ..empty() }; RULES_SCANNED];
    assert_eq!(looked_at(&book(&few), &Request::default()), RULES_SCANNED);
}

#[test]
fn a_request_that_shows_more_than_may_be_is_read_up_to_there() {
    let book = many(|n| Rule { query_conditions: vec![named(n.to_string())], ..empty() });
    let query = |from: u32, count: usize| {
        let parameters = (from..).take(count).map(|n| format!("p={n}"));
        Request { query: parameters.collect::<Vec<_>>().join("&"), ..Request::default() }
    };
    let found = |request: &Request| book.find(&request.facts()).map(|rule| rule.index.0);
    assert_eq!(found(&query(100, 3 * CLUES_PER_KIND)), Some(100));
    let mut late = query(100, CLUES_PER_KIND);
    late.query += "&p=5";
    assert_eq!(found(&late), Some(100), "one more is passed over");
    // What comes several times counts once.
    late.query = "p=7&".repeat(2 * CLUES_PER_KIND) + "p=5";
    assert_eq!(found(&late), Some(5));
    late.query = "p=unknown&".repeat(2 * CLUES_PER_KIND) + "p=5";
    assert_eq!(found(&late), Some(5));
}

#[test]
fn terms_beyond_those_that_can_be_marked_are_checked_all_the_same() {
    let headers = (0..40).map(|n| header(&format!("x-{n}"), "1")).collect::<Vec<_>>();
    let rules = vec![Rule { header_conditions: headers.clone(), ..empty() }; 12];
    let book = book(&rules);
    let all = |but: Option<usize>| {
        (0..40)
            .filter(|n| Some(*n) != but)
            .fold(Request::default(), |request, n| request.with_header(&format!("x-{n}"), "1"))
    };
    assert!(book.find(&all(None).facts()).is_some());
    for missing in 0..40 {
        assert!(book.find(&all(Some(missing)).facts()).is_none(), "without x-{missing}");
    }
}
