//! From the bytes of an inference request to a checked job: a pure function over a hostile slice.
//!
//! The body is JSON, and the input's numbers are either in it (`data`) or behind it as raw little-endian bytes
//! (`binary_data_size`). In the second form the header `Inference-Header-Content-Length` says where the JSON
//! ends. Always true of an [`InferRequest`]: its images are exactly `batch * image` numbers.
//!
//! Source: triton-inference-server/server, `docs/protocol/extension_binary_data.md`.

use std::num::NonZeroU32;
use std::time::Duration;

use super::backend::{InferJob, ModelInfo};
use super::fields::{self, InputFields, OutputFields, Remainder};
use super::tensor::{self, FP32_BYTES};

/// Says how many bytes of the body are JSON; the rest is tensors.
pub const HEADER_LENGTH: &str = "Inference-Header-Content-Length";

/// The only datatype of both tensors.
pub const DATATYPE: &str = "FP32";

/// A checked request.
#[derive(Debug, PartialEq)]
pub struct InferRequest {
    /// Echoed in the answer.
    pub id: Option<String>,
    /// What to compute.
    pub job: InferJob,
    /// What to answer.
    pub output: OutputForm,
}

/// What the answer holds, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutputForm {
    /// The logits or the best classes.
    pub content: OutputContent,
    /// In the JSON or behind it.
    pub placement: Placement,
}

/// What the answer holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputContent {
    /// The logits, FP32 `[batch, classes]`.
    Logits,
    /// The best so many classes, BYTES `[batch, k]`.
    BestClasses(NonZeroU32),
}

/// Where a tensor stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placement {
    /// In the JSON.
    Json,
    /// Behind it.
    Binary,
}

/// Why a body is not a request that can be computed. Each message says what to send instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// The JSON is malformed, or a field has the wrong type.
    #[error("the request is not valid: {reason}")]
    Json {
        /// From the parser, with the field or the position.
        reason: String,
    },
    /// The header points behind the body.
    #[error(
        "{HEADER_LENGTH} is {stated}, but the body has {body} bytes: state the bytes of the JSON part, \
         and send the whole body"
    )]
    HeaderBeyondBody {
        /// What the header says.
        stated: usize,
        /// What was received.
        body: usize,
    },
    /// Something stands between the JSON and where the header says that it ends.
    #[error("{HEADER_LENGTH} is {stated}, but the JSON ends before: state exactly its bytes")]
    HeaderTooLong {
        /// What the header says.
        stated: usize,
    },
    /// Binary data came without the header.
    #[error("bytes follow the JSON: for binary tensors, state the bytes of the JSON part in {HEADER_LENGTH}")]
    HeaderMissing,
    /// A field that must be there is not.
    #[error("{field} is missing")]
    FieldMissing {
        /// Its path, and where it helps, what to put there.
        field: &'static str,
    },
    /// The input has another name.
    #[error("inputs[0].name is {name:?}: the input of this network is {expected:?}")]
    InputName {
        /// As sent.
        name: String,
        /// As it should be.
        expected: String,
    },
    /// The output has another name.
    #[error("outputs[0].name is {name:?}: the output of this network is {expected:?}")]
    OutputName {
        /// As sent.
        name: String,
        /// As it should be.
        expected: String,
    },
    /// The input has another datatype.
    #[error("inputs[0].datatype is {datatype:?}: convert the images to {DATATYPE}")]
    Datatype {
        /// As sent.
        datatype: String,
    },
    /// The input has another shape.
    #[error(
        "inputs[0].shape is {shape:?}: this network takes {expected:?}, where -1 is 1 to {max_batch} images"
    )]
    Shape {
        /// As sent.
        shape: Vec<u64>,
        /// As it should be.
        expected: [i64; 4],
        /// The most images.
        max_batch: u16,
    },
    /// More images than a request may hold.
    #[error("inputs[0].shape asks for {batch} images: send 1 to {max_batch} in one request")]
    Batch {
        /// As sent.
        batch: u64,
        /// The most images.
        max_batch: u16,
    },
    /// The JSON holds another number of elements than the shape says.
    #[error("inputs[0].data has {found} numbers, but inputs[0].shape needs {needed}")]
    DataLength {
        /// In the JSON.
        found: usize,
        /// By the shape.
        needed: usize,
    },
    /// The binary size is not that of the shape.
    #[error("inputs[0].parameters.binary_data_size is {stated}, but inputs[0].shape needs {needed} bytes")]
    BinarySize {
        /// As sent.
        stated: u64,
        /// By the shape.
        needed: usize,
    },
    /// Fewer or more bytes follow the JSON than were announced.
    #[error("{found} bytes follow the JSON, but its binary_data_size add up to {stated}: send exactly those")]
    BinaryLength {
        /// Received.
        found: usize,
        /// Announced.
        stated: u64,
    },
    /// Both forms at once.
    #[error("inputs[0] has both data and binary_data_size: send one of them")]
    TwoForms,
    /// A tensor ends within a number.
    #[error("{bytes} bytes are no whole count of {DATATYPE} numbers: each takes 4")]
    PartialNumber {
        /// Length of the tensor.
        bytes: usize,
    },
}

/// Reads and checks a body. `json_length` is the value of the header, where one was sent.
///
/// # Errors
/// If the body is not a request that the network can compute.
pub fn parse(
    body: &[u8],
    json_length: Option<usize>,
    model: &ModelInfo,
) -> Result<InferRequest, RequestError> {
    let (json, tensors) = match json_length {
        None => (body, &[][..]),
        Some(stated) => body
            .split_at_checked(stated)
            .ok_or(RequestError::HeaderBeyondBody { stated, body: body.len() })?,
    };
    let (request, remainder) =
        fields::read(json, model).map_err(|error| RequestError::Json { reason: error.to_string() })?;
    match (remainder, json_length) {
        (Remainder::Nothing, _) => (),
        (Remainder::Bytes, None) => return Err(RequestError::HeaderMissing),
        (Remainder::Bytes, Some(stated)) => return Err(RequestError::HeaderTooLong { stated }),
    }
    let input = request.input.ok_or(missing("inputs[0], the tensor of images,"))?;
    let batch = check_input(&input, model)?;
    let images = numbers(input, tensors, usize::from(batch) * model.image.elements())?;
    let by_default = match request.binary_data_output {
        Some(true) => Placement::Binary,
        Some(false) | None => Placement::Json,
    };
    let output = output_form(request.output.as_ref(), by_default, model)?;
    // As for Triton, 0 leaves the timeout to the server.
    let timeout = request.timeout_microseconds.filter(|&us| us > 0).map(Duration::from_micros);
    Ok(InferRequest { id: request.id, job: InferJob { images, batch, timeout, trace: None }, output })
}

const fn missing(field: &'static str) -> RequestError {
    RequestError::FieldMissing { field }
}

/// Checks name, datatype and shape; the number of images.
fn check_input(input: &InputFields, model: &ModelInfo) -> Result<u16, RequestError> {
    let name = input.name.as_ref().ok_or(missing("inputs[0].name"))?;
    if *name != model.input_name {
        return Err(RequestError::InputName { name: name.clone(), expected: model.input_name.clone() });
    }
    let datatype = input.datatype.as_ref().ok_or(missing("inputs[0].datatype"))?;
    if datatype != DATATYPE {
        return Err(RequestError::Datatype { datatype: datatype.clone() });
    }
    let shape = input.shape.as_ref().ok_or(missing("inputs[0].shape"))?;
    let image = [model.image.channels, model.image.height, model.image.width].map(u64::from);
    let max_batch = model.max_batch;
    match shape.split_first() {
        Some((&batch, rest)) if rest == image => match u16::try_from(batch) {
            Ok(images) if (1..=max_batch).contains(&images) => Ok(images),
            _ => Err(RequestError::Batch { batch, max_batch }),
        },
        _ => Err(RequestError::Shape { shape: shape.clone(), expected: model.input_shape(), max_batch }),
    }
}

/// The input's numbers from where they are; `needed` of them.
fn numbers(input: InputFields, tensors: &[u8], needed: usize) -> Result<Vec<f32>, RequestError> {
    let length_error = |stated| RequestError::BinaryLength { found: tensors.len(), stated };
    match (input.data, input.binary_data_size) {
        (Some(_), Some(_)) => Err(RequestError::TwoForms),
        (None, None) => Err(missing("inputs[0].data (or inputs[0].parameters.binary_data_size)")),
        (Some(_), None) if !tensors.is_empty() => Err(length_error(0)),
        (Some(data), None) if data.len() != needed => {
            Err(RequestError::DataLength { found: data.len(), needed })
        }
        (Some(data), None) => Ok(data),
        (None, Some(stated)) if stated != (needed * FP32_BYTES) as u64 => {
            Err(RequestError::BinarySize { stated, needed: needed * FP32_BYTES })
        }
        (None, Some(stated)) if stated != tensors.len() as u64 => Err(length_error(stated)),
        (None, Some(_)) => tensor::fp32_from_le(tensors),
    }
}

/// What to answer; without a wish, the logits where the request's parameters put outputs.
fn output_form(
    wish: Option<&OutputFields>,
    by_default: Placement,
    model: &ModelInfo,
) -> Result<OutputForm, RequestError> {
    let Some(wish) = wish else {
        return Ok(OutputForm { content: OutputContent::Logits, placement: by_default });
    };
    let name = wish.name.as_ref().ok_or(missing("outputs[0].name"))?;
    if *name != model.output_name {
        return Err(RequestError::OutputName { name: name.clone(), expected: model.output_name.clone() });
    }
    // More classes than fit 32 bits are all classes.
    let k = wish.classification.map_or(0, |k| u32::try_from(k).unwrap_or(u32::MAX));
    let content = NonZeroU32::new(k).map_or(OutputContent::Logits, OutputContent::BestClasses);
    let placement = match wish.binary_data {
        Some(true) => Placement::Binary,
        Some(false) => Placement::Json,
        None => by_default,
    };
    Ok(OutputForm { content, placement })
}

#[cfg(test)]
pub(super) mod tests;
