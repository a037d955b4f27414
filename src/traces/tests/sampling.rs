//! Which traces go on, which start here, and how many of those are recorded.

use std::sync::Arc;

use proptest::prelude::*;

use super::super::context::{TraceContext, TraceId};
use super::super::sampling::begin;
use crate::config::{EndpointUrl, Host, Otlp, Scheme, TraceParents, Tracing, UpstreamTls};
use crate::model::limits;

fn settings(sample: f64, parents: TraceParents) -> Tracing {
    let url = EndpointUrl { scheme: Scheme::Http, host: Host::Name("otlp".into()), port: 4318 };
    let (path, tls) = ("/v1/traces".to_owned(), UpstreamTls::default());
    let otlp = Arc::new(Otlp { url, path, tls, timeout: limits::OTLP_TIMEOUT });
    Tracing { otlp, sample, parents, service_name: "rhumb".into() }
}

fn caller(flags: u8) -> TraceContext {
    let text = format!("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-{flags:02x}");
    TraceContext::parse(text.as_bytes()).unwrap()
}

const ENTROPY: [u64; 3] = [1, 2, 3];

#[test]
fn a_trace_that_goes_on_keeps_everything_but_the_span() {
    for flags in 0..4 {
        for (parents, trusted) in [
            (TraceParents::Follow, false),
            (TraceParents::Follow, true),
            (TraceParents::Trusted, true),
        ] {
            // Whatever share is recorded of those that start here.
            for sample in [0.0, 1.0] {
                let parent = caller(flags);
                let begun = begin(&settings(sample, parents), Some(parent), trusted, ENTROPY);
                assert_eq!(begun.context.trace, parent.trace);
                assert_eq!(begun.context.flags, parent.flags);
                assert_ne!(begun.context.span, parent.span);
                assert_eq!((begun.parent, begun.left), (Some(parent.span), None));
                assert_eq!(begun.is_sampled(), flags & 1 == 1);
            }
        }
    }
}

#[test]
fn a_trace_that_is_not_followed_starts_here_and_knows_whom_it_left() {
    for (parents, trusted) in [
        (TraceParents::Ignore, false),
        (TraceParents::Ignore, true),
        (TraceParents::Trusted, false),
    ] {
        for (sample, sampled) in [(0.0, false), (1.0, true)] {
            let parent = caller(1);
            let begun = begin(&settings(sample, parents), Some(parent), trusted, ENTROPY);
            assert_ne!(begun.context.trace, parent.trace);
            assert_eq!((begun.parent, begun.left), (None, Some(parent)));
            assert_eq!(begun.is_sampled(), sampled);
            assert_eq!(begun.context.flags.bits(), 2 | u8::from(sampled));
        }
    }
    let begun = begin(&settings(1.0, TraceParents::Follow), None, true, ENTROPY);
    assert_eq!((begun.parent, begun.left), (None, None));
    assert_eq!(begun.context.trace, TraceId::from_entropy([1, 2]));
}

#[test]
fn the_share_that_is_asked_for_is_recorded() {
    let mut random = fastrand::Rng::with_seed(7);
    for share in [0.001, 0.01, 0.1, 0.5, 0.999] {
        let settings = settings(share, TraceParents::Follow);
        let draws = 100_000;
        let sampled = (0..draws)
            .filter(|_| {
                let entropy = [random.u64(..), random.u64(..), random.u64(..)];
                begin(&settings, None, false, entropy).is_sampled()
            })
            .count() as f64;
        // Six standard deviations.
        let expected = share * f64::from(draws);
        let most = 6.0 * (expected * (1.0 - share)).sqrt();
        assert!((sampled - expected).abs() < most, "{share}: {sampled} of {draws}");
    }
}

proptest! {
    /// Who records a smaller share records none that others with a larger one do not.
    #[test]
    fn shares_of_several_proxies_nest(entropy: [u64; 3], a in 0.0..=1.0, b in 0.0..=1.0) {
        let sampled = |share| {
            let begun = begin(&settings(share, TraceParents::Follow), None, false, entropy);
            begun.is_sampled()
        };
        let (low, high): (f64, f64) = if a < b { (a, b) } else { (b, a) };
        prop_assert!(!sampled(low) || sampled(high));
        prop_assert!(sampled(1.0) && !sampled(0.0));
    }
}
