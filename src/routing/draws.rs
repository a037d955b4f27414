//! Randomness as an argument: every draw of one decision comes from one number.
//!
//! Independent draws are told apart by their purpose and by what is drawn for, never by the order
//! in which they are made: the same request drawn again on a table where one region went down
//! keeps its order but for that region.

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// What a decision may draw from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Draws {
    /// A random number, new for each request; all of the request's draws derive from it.
    pub entropy: u64,
    /// How many requests this worker has routed in this deployment, for `round_robin`.
    pub turn: u64,
}

/// What a draw is for. Draws of different purposes are independent.
#[derive(Clone, Copy, Debug)]
pub(super) enum Purpose {
    /// Ordering regions by weight.
    Region,
    /// Choosing an endpoint inside a region.
    Endpoint,
}

/// A family of independent random numbers (SplitMix64: G. L. Steele Jr., D. Lea, C. H. Flood,
/// "Fast splittable pseudorandom number generators", OOPSLA 2014).
#[derive(Clone, Copy, Debug)]
pub(super) struct Stream(u64);

impl Stream {
    pub(super) fn new(entropy: u64, purpose: Purpose) -> Self {
        let purpose = match purpose {
            Purpose::Region => 0x6a09_e667_f3bc_c908,
            Purpose::Endpoint => 0xbb67_ae85_84ca_a73b,
        };
        Self(mix(entropy ^ purpose))
    }

    /// The `n`th number of the stream.
    #[inline]
    pub(super) fn bits(self, n: u64) -> u64 {
        mix(self.0.wrapping_add((n + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)))
    }

    /// The `n`th number, uniform in the open interval (0, 1).
    #[inline]
    pub(super) fn unit(self, n: u64) -> f64 {
        unit(self.bits(n))
    }

    /// The `n`th number, uniform in `0..bound` (0 if `bound` is 0), by multiplication; the bias is
    /// below `bound` / 2^64.
    pub(super) fn below(self, n: u64, bound: u64) -> u64 {
        ((u128::from(self.bits(n)) * u128::from(bound)) >> 64) as u64
    }
}

/// What a stable number is for. Numbers of different salts are independent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Salt(u64);

impl Salt {
    pub(super) const TENANT: Self = Self(0x3c6e_f372_fe94_f82b);
    pub(super) const ADDRESS: Self = Self(0xa54f_f53a_5f1d_36f1);
    /// Tells where a client belongs from which shares it is in: a region that takes a tenth of its
    /// clients takes a tenth of those that belong there.
    const HOME: u64 = 0x1f83_d9ab_fb41_bd6b;

    /// A salt of these words, such as a deployment's name and a region's id.
    pub(super) fn of(words: &[&str]) -> Self {
        let mut salt = 0x510e_527f_ade6_82d1;
        for word in words {
            salt = mix(xxh3_64_with_seed(word.as_bytes(), salt));
        }
        Self(salt)
    }

    /// A number that depends on the key and the salt alone, whatever worker, process or version
    /// asks.
    #[inline]
    pub(super) fn number(self, key: u64) -> u64 {
        mix(key ^ self.0)
    }

    /// Another number of the same kind, uniform in the open interval (0, 1): how the key draws the
    /// salt's region as its home.
    #[inline]
    pub(super) fn home_unit(self, key: u64) -> f64 {
        unit(self.number(key ^ Self::HOME))
    }

    /// The first number in `0..10_000`, for shares in hundredths of a percent.
    #[inline]
    pub(super) fn per_10_000(self, key: u64) -> u16 {
        ((u128::from(self.number(key)) * 10_000) >> 64) as u16
    }
}

/// What stays the same for whoever is called so (XXH3, whose values are specified).
pub(super) fn stable_key(salt: Salt, bytes: &[u8]) -> u64 {
    xxh3_64_with_seed(bytes, salt.0)
}

/// Uniform in the open interval (0, 1).
#[inline]
fn unit(bits: u64) -> f64 {
    // 52 bits and a half: exact in an f64, and neither 0 nor 1.
    ((bits >> 12) as f64 + 0.5) * (1.0 / (1u64 << 52) as f64)
}

#[inline]
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
