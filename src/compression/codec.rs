//! The encoders of all codings behind one face: bytes in, bytes out, within the memory that
//! [`setting`] allows.
//!
//! Not here: when to flush or to end (`stream`).

use std::fmt;

use brotli::enc::StandardAlloc;
use brotli::enc::encode::{
    BrotliEncoderOperation, BrotliEncoderParameter, BrotliEncoderStateStruct,
};
use flate2::{Compress, Compression, FlushCompress, Status};
use zstd_safe::zstd_sys::ZSTD_EndDirective;
use zstd_safe::{CCtx, CParameter, InBuffer, OutBuffer};

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
    fn new(coding: Coding, why: impl fmt::Display) -> Self {
        Self { coding, why: why.to_string() }
    }

    fn zstd(code: usize) -> Self {
        Self::new(Coding::Zstd, zstd_safe::get_error_name(code))
    }
}

/// How an encoder is set: its own level, and the bits of its window.
const fn setting(coding: Coding, level: CompressionLevel) -> (u8, u8) {
    use CompressionLevel::{Balanced, Best, Fast};
    match (coding, level) {
        (Coding::Zstd, Fast) => (1, 17),
        (Coding::Zstd, Balanced) => (3, 17),
        (Coding::Zstd, Best) => (6, 18),
        (Coding::Brotli, Fast) => (2, 17),
        (Coding::Brotli, Balanced) => (4, 18),
        (Coding::Brotli, Best) => (6, 18),
        (Coding::Gzip, Fast) => (2, 15),
        (Coding::Gzip, Balanced) => (5, 15),
        (Coding::Gzip, Best) => (8, 15),
    }
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
                for parameter in [
                    CParameter::CompressionLevel(i32::from(level)),
                    CParameter::WindowLog(u32::from(window)),
                ] {
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

    /// What to say of an encoder that has room and something to do, and does nothing.
    pub(super) fn stuck(&self) -> CodecError {
        let coding = match self {
            Self::Zstd(_) => Coding::Zstd,
            Self::Brotli(_) => Coding::Brotli,
            Self::Gzip(_) => Coding::Gzip,
        };
        CodecError::new(coding, "the encoder does nothing")
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
