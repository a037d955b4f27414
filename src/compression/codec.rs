//! The encoders of all codings behind one face: bytes in, bytes out, within the memory that
//! [`memory`] says.
//!
//! Not here: when to flush or to end (`stream`).

use std::fmt;

use brotli::enc::StandardAlloc;
use brotli::enc::encode::{
    BrotliEncoderOperation, BrotliEncoderParameter, BrotliEncoderStateStruct,
};
use flate2::{Compress, Compression, FlushCompress, Status};
use zstd_safe::zstd_sys::ZSTD_EndDirective;
use zstd_safe::{CCtx, CParameter, InBuffer, OutBuffer, ResetDirective};

use crate::config::CompressionLevel;
use crate::model::Coding;

/// An encoder in the middle of a body.
pub(super) enum Codec {
    Zstd(CCtx<'static>),
    Brotli(Box<BrotliEncoderStateStruct<StandardAlloc>>),
    Gzip(Compress),
}

/// What an encoder is to do with its input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// Take it, and give what there is to give.
    Take,
    /// Give all that can be told of what was taken.
    Flush,
    /// The same, and end.
    Finish,
}

/// What an encoder did.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    /// Bytes of the input.
    pub(super) taken: usize,
    /// Bytes of the output.
    pub(super) given: usize,
    /// Whether a flush or the end has been given completely.
    pub(super) done: bool,
}

/// An encoder failed, which none does for what is in its input.
#[derive(Debug, thiserror::Error)]
#[error("the response cannot be compressed: {coding}: {why}", coding = .coding.as_str())]
pub struct CodecError {
    coding: Coding,
    why: String,
}

impl CodecError {
    pub(super) fn new(coding: Coding, why: impl fmt::Display) -> Self {
        Self { coding, why: why.to_string() }
    }

    fn zstd(code: usize) -> Self {
        Self::new(Coding::Zstd, zstd_safe::get_error_name(code))
    }
}

/// How an encoder is set: its own level, and the bits of its window.
///
/// Chosen by what they cost and save on JSON and text, and by the memory that they take. Brotli below
/// 2 looks at nothing before the bytes that it is given, and from 5 on takes tens of megabytes with a
/// small window and no less room for the result with a larger one.
const fn setting(coding: Coding, level: CompressionLevel) -> (u8, u8) {
    use CompressionLevel::{Balanced, Best, Fast};
    match (coding, level) {
        (Coding::Zstd, Fast) => (1, 16),
        (Coding::Zstd, Balanced) => (3, 17),
        (Coding::Zstd, Best) => (6, 17),
        (Coding::Brotli, Fast) => (3, 16),
        (Coding::Brotli, Balanced) => (4, 17),
        (Coding::Brotli, Best) => (4, 18),
        (Coding::Gzip, Fast) => (2, 15),
        (Coding::Gzip, Balanced) => (6, 15),
        (Coding::Gzip, Best) => (8, 15),
    }
}

/// Bits of each of the tables of zstd, which would be larger than small responses need.
const ZSTD_TABLE: u32 = 16;

/// Bytes that an encoder takes at most.
pub(super) const fn memory(coding: Coding, level: CompressionLevel) -> usize {
    let kib = match (coding, level) {
        (Coding::Zstd, CompressionLevel::Fast) => 544,
        (Coding::Zstd, CompressionLevel::Balanced) => 1_408,
        (Coding::Zstd, CompressionLevel::Best) => 1_280,
        (Coding::Brotli, CompressionLevel::Fast) => 704,
        (Coding::Brotli, CompressionLevel::Balanced) => 1_408,
        (Coding::Brotli, CompressionLevel::Best) => 1_664,
        (Coding::Gzip, _) => 384,
    };
    kib << 10
}

impl Codec {
    /// # Errors
    ///
    /// When there is no memory for it.
    pub(super) fn new(coding: Coding, level: CompressionLevel) -> Result<Self, CodecError> {
        let (level, window) = setting(coding, level);
        Ok(match coding {
            Coding::Zstd => {
                let mut context = CCtx::try_create()
                    .ok_or_else(|| CodecError::new(coding, "no memory for an encoder"))?;
                let tables = [CParameter::HashLog(ZSTD_TABLE), CParameter::ChainLog(ZSTD_TABLE)];
                let own = [
                    CParameter::CompressionLevel(i32::from(level)),
                    CParameter::WindowLog(u32::from(window)),
                ];
                // The first level has smaller ones of its own.
                let tables = tables.into_iter().filter(|_| level > 1);
                for parameter in own.into_iter().chain(tables) {
                    context.set_parameter(parameter).map_err(CodecError::zstd)?;
                }
                Self::Zstd(context)
            }
            Coding::Brotli => {
                let mut state = Box::new(BrotliEncoderStateStruct::new(StandardAlloc::default()));
                for (parameter, value) in [
                    (BrotliEncoderParameter::BROTLI_PARAM_QUALITY, level),
                    (BrotliEncoderParameter::BROTLI_PARAM_LGWIN, window),
                ] {
                    state.set_parameter(parameter, u32::from(value));
                }
                Self::Brotli(state)
            }
            Coding::Gzip => Self::Gzip(Compress::new_gzip(Compression::new(level.into()), window)),
        })
    }

    /// The encoder at the beginning of another body, if it can be used for one.
    pub(super) fn renewed(self) -> Option<Self> {
        match self {
            Self::Zstd(mut context) => {
                context.reset(ResetDirective::SessionOnly).ok().map(|_| Self::Zstd(context))
            }
            Self::Gzip(mut state) => {
                state.reset();
                Some(Self::Gzip(state))
            }
            Self::Brotli(_) => None,
        }
    }

    /// Lets the encoder work until it has taken all of `input` or filled `output`.
    ///
    /// # Errors
    ///
    /// When the encoder fails; it is of no use then.
    pub(super) fn step(
        &mut self,
        order: Order,
        input: &[u8],
        output: &mut [u8],
    ) -> Result<Step, CodecError> {
        match self {
            Self::Zstd(context) => zstd(context, order, input, output),
            Self::Brotli(state) => brotli(state, order, input, output),
            Self::Gzip(state) => gzip(state, order, input, output),
        }
    }
}

fn zstd(
    context: &mut CCtx<'static>,
    order: Order,
    input: &[u8],
    output: &mut [u8],
) -> Result<Step, CodecError> {
    let order = match order {
        Order::Take => ZSTD_EndDirective::ZSTD_e_continue,
        Order::Flush => ZSTD_EndDirective::ZSTD_e_flush,
        Order::Finish => ZSTD_EndDirective::ZSTD_e_end,
    };
    let (mut input, mut output) = (InBuffer::around(input), OutBuffer::around(output));
    let left =
        context.compress_stream2(&mut output, &mut input, order).map_err(CodecError::zstd)?;
    Ok(Step { taken: input.pos(), given: output.pos(), done: left == 0 })
}

fn brotli(
    state: &mut BrotliEncoderStateStruct<StandardAlloc>,
    order: Order,
    input: &[u8],
    output: &mut [u8],
) -> Result<Step, CodecError> {
    let operation = match order {
        Order::Take => BrotliEncoderOperation::BROTLI_OPERATION_PROCESS,
        Order::Flush => BrotliEncoderOperation::BROTLI_OPERATION_FLUSH,
        Order::Finish => BrotliEncoderOperation::BROTLI_OPERATION_FINISH,
    };
    let (mut taken, mut given) = (0, 0);
    let (mut left, mut room) = (input.len(), output.len());
    let fine = state.compress_stream(
        operation,
        &mut left,
        input,
        &mut taken,
        &mut room,
        output,
        &mut given,
        &mut None,
        &mut |_, _, _, _| (),
    );
    if !fine {
        return Err(CodecError::new(Coding::Brotli, "the encoder is in no state for that"));
    }
    let done = match order {
        Order::Finish => state.is_finished(),
        Order::Take | Order::Flush => !state.has_more_output(),
    };
    Ok(Step { taken, given, done })
}

fn gzip(
    state: &mut Compress,
    order: Order,
    input: &[u8],
    output: &mut [u8],
) -> Result<Step, CodecError> {
    let flush = match order {
        Order::Take => FlushCompress::None,
        Order::Flush => FlushCompress::Sync,
        Order::Finish => FlushCompress::Finish,
    };
    let (taken, given) = (state.total_in(), state.total_out());
    let status = state
        .compress(input, output, flush)
        .map_err(|error| CodecError::new(Coding::Gzip, error))?;
    let since = |before: u64, now: u64| usize::try_from(now.wrapping_sub(before)).unwrap_or(0);
    let (taken, given) = (since(taken, state.total_in()), since(given, state.total_out()));
    let done = match order {
        Order::Finish => status == Status::StreamEnd,
        // A flush that found room left has nothing more to say.
        Order::Take | Order::Flush => given < output.len(),
    };
    Ok(Step { taken, given, done })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(length: usize) -> Vec<u8> {
        let mut random = fastrand::Rng::with_seed(5);
        let mut text = Vec::with_capacity(length);
        while text.len() < length {
            text.extend_from_slice(format!("{{\"id\":{},\"name\":\"", random.u16(..)).as_bytes());
            text.extend(std::iter::repeat_with(|| random.lowercase() as u8).take(8));
            text.extend_from_slice(b"\",\"active\":true},");
        }
        text.truncate(length);
        text
    }

    fn each() -> impl Iterator<Item = (Coding, CompressionLevel)> {
        let levels = CompressionLevel::ALL;
        Coding::ALL.into_iter().flat_map(move |coding| levels.map(|level| (coding, level)))
    }

    /// Feeds a codec, flushes it and ends it, through a small output.
    fn compress(codec: &mut Codec, input: &[u8], flushes: bool) -> Vec<u8> {
        let (mut output, mut all) = ([0; 700], Vec::new());
        let mut go = |order, mut input: &[u8]| {
            loop {
                let step = codec.step(order, input, &mut output).unwrap();
                all.extend_from_slice(&output[..step.given]);
                input = &input[step.taken..];
                if input.is_empty() && (order == Order::Take || step.done) {
                    break;
                }
            }
        };
        for chunk in input.chunks(10_000) {
            go(Order::Take, chunk);
            if flushes {
                go(Order::Flush, &[]);
            }
        }
        go(Order::Finish, &[]);
        all
    }

    #[test]
    fn an_encoder_takes_no_more_memory_than_is_said() {
        // Of Rust's allocator; what zstd takes it says itself.
        let input = text(2 << 20);
        for (coding, level) in each() {
            let mut own = 0;
            let counted = allocation_counter::measure(|| {
                let mut codec = Codec::new(coding, level).unwrap();
                let mut output = vec![0; 1 << 16];
                for chunk in input.chunks(32 << 10) {
                    codec.step(Order::Take, chunk, &mut output).unwrap();
                    codec.step(Order::Flush, &[], &mut output).unwrap();
                }
                if let Codec::Zstd(context) = &codec {
                    own = context.sizeof();
                }
            });
            let taken = own.max(usize::try_from(counted.bytes_max).unwrap() - (1 << 16));
            let said = memory(coding, level);
            assert!(taken <= said, "{coding:?} {level:?}: {taken} of {said}");
            assert!(taken * 8 > said * 5, "{coding:?} {level:?}: only {taken} of {said}");
        }
    }

    #[test]
    fn an_encoder_that_is_used_again_knows_nothing_of_before() {
        let (first, second) = (text(50_000), text(20_000));
        for (coding, level) in each() {
            let mut codec = Codec::new(coding, level).unwrap();
            let expected = compress(&mut codec, &second, true);
            let mut codec = Codec::new(coding, level).unwrap();
            let mut output = [0; 1 << 16];
            // Left in the middle.
            codec.step(Order::Take, &first, &mut output).unwrap();
            if let Some(mut codec) = codec.renewed() {
                assert_eq!(compress(&mut codec, &second, true), expected, "{coding:?} {level:?}");
            }
        }
    }

    #[test]
    fn levels_are_worth_their_names() {
        let input = include_str!("../../docs/configuration.md").as_bytes();
        for coding in Coding::ALL {
            let sizes = CompressionLevel::ALL
                .map(|level| compress(&mut Codec::new(coding, level).unwrap(), input, false).len());
            assert!(sizes.is_sorted_by(|a, b| a >= b), "{coding:?} {sizes:?}");
            assert!(sizes[0] < input.len() / 2);
        }
    }
}
