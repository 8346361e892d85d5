//! Reads the JSON part of an inference request, and says which field is wrong.
//!
//! Written by hand rather than derived, for three reasons: a derived reader would build a tree of whatever
//! depth and length a client sends, its errors would not name the field, and it would hold each number twice.
//! Unknown fields are skipped without being stored, as the protocol asks. Whether the values make sense
//! together is judged in [`super::request`].

use serde::de::{DeserializeSeed, Error, IgnoredAny, MapAccess};

use super::backend::ModelInfo;
use super::bounded::{AtMostOne, Dimensions, Fields, Flag, Numbers, Object, Text, Whole};

/// The fields of a request that mean something to Weir.
#[derive(Debug, Default, PartialEq)]
pub struct RequestFields {
    /// Echoed in the answer.
    pub id: Option<String>,
    /// How long the client waits, microseconds; 0 says nothing.
    pub timeout_microseconds: Option<u64>,
    /// Whether outputs are binary where they do not say themselves.
    pub binary_data_output: Option<bool>,
    /// The one input.
    pub input: Option<InputFields>,
    /// The one output; absent when the client leaves the choice to the server.
    pub output: Option<OutputFields>,
}

/// The fields of an input tensor.
#[derive(Debug, Default, PartialEq)]
pub struct InputFields {
    /// Its name.
    pub name: Option<String>,
    /// Its datatype: `FP32`.
    pub datatype: Option<String>,
    /// Its shape, with the batch.
    pub shape: Option<Vec<u64>>,
    /// Its numbers, if they are in the JSON.
    pub data: Option<Vec<f32>>,
    /// Its size behind the JSON, if it is there.
    pub binary_data_size: Option<u64>,
}

/// The fields of a requested output.
#[derive(Debug, Default, PartialEq)]
pub struct OutputFields {
    /// Its name.
    pub name: Option<String>,
    /// How many best classes to return instead of the tensor; 0 says nothing.
    pub classification: Option<u64>,
    /// Whether it goes behind the JSON.
    pub binary_data: Option<bool>,
}

/// What follows the JSON in the same bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remainder {
    /// Nothing but white space.
    Nothing,
    /// Something else.
    Bytes,
}

/// Reads the request at the start of `text`.
///
/// # Errors
/// If it is not JSON, if a field has the wrong type, or if a list holds more than the network can take.
pub fn read(text: &[u8], model: &ModelInfo) -> Result<(RequestFields, Remainder), serde_json::Error> {
    let mut fields = RequestFields::default();
    let mut source = serde_json::Deserializer::from_slice(text);
    Object(&mut Request { fields: &mut fields, numbers_max: model.max_elements() })
        .deserialize(&mut source)?;
    let remainder = if source.end().is_ok() { Remainder::Nothing } else { Remainder::Bytes };
    Ok((fields, remainder))
}

struct Request<'a> {
    fields: &'a mut RequestFields,
    numbers_max: usize,
}

impl Fields for Request<'_> {
    const WHAT: &'static str = "an inference request, an object";

    fn read<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
        match key {
            "id" => self.fields.id = Some(map.next_value_seed(Text("id, a string"))?),
            "parameters" => map.next_value_seed(Object(&mut RequestParameters(self.fields)))?,
            "inputs" => {
                let mut input = Input { fields: InputFields::default(), numbers_max: self.numbers_max };
                if map.next_value_seed(AtMostOne { what: "inputs, an array", element: &mut input })? {
                    self.fields.input = Some(input.fields);
                }
            }
            "outputs" => {
                let mut output = OutputFields::default();
                if map.next_value_seed(AtMostOne { what: "outputs, an array", element: &mut output })? {
                    self.fields.output = Some(output);
                }
            }
            _ => drop(map.next_value::<IgnoredAny>()?),
        }
        Ok(())
    }
}

struct RequestParameters<'a>(&'a mut RequestFields);

impl Fields for RequestParameters<'_> {
    const WHAT: &'static str = "parameters, an object";

    fn read<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
        match key {
            "timeout" => {
                let seed = Whole("parameters.timeout, a whole number of microseconds");
                self.0.timeout_microseconds = Some(map.next_value_seed(seed)?);
            }
            "binary_data_output" => {
                let seed = Flag("parameters.binary_data_output, true or false");
                self.0.binary_data_output = Some(map.next_value_seed(seed)?);
            }
            _ => drop(map.next_value::<IgnoredAny>()?),
        }
        Ok(())
    }
}

struct Input {
    fields: InputFields,
    numbers_max: usize,
}

impl Fields for Input {
    const WHAT: &'static str = "inputs[0], an object";

    fn read<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
        let fields = &mut self.fields;
        match key {
            "name" => fields.name = Some(map.next_value_seed(Text("inputs[0].name, a string"))?),
            "datatype" => fields.datatype = Some(map.next_value_seed(Text("inputs[0].datatype, a string"))?),
            "shape" => fields.shape = Some(map.next_value_seed(Dimensions)?),
            "data" => {
                let mut numbers = Vec::new();
                map.next_value_seed(Numbers::new(&mut numbers, self.numbers_max))?;
                fields.data = Some(numbers);
            }
            "parameters" => map.next_value_seed(Object(&mut InputParameters(fields)))?,
            _ => drop(map.next_value::<IgnoredAny>()?),
        }
        Ok(())
    }
}

struct InputParameters<'a>(&'a mut InputFields);

impl Fields for InputParameters<'_> {
    const WHAT: &'static str = "inputs[0].parameters, an object";

    fn read<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
        match key {
            "binary_data_size" => {
                let seed = Whole("inputs[0].parameters.binary_data_size, a whole number of bytes");
                self.0.binary_data_size = Some(map.next_value_seed(seed)?);
            }
            "shared_memory_region" => return Err(shared_memory("inputs[0]")),
            _ => drop(map.next_value::<IgnoredAny>()?),
        }
        Ok(())
    }
}

impl Fields for OutputFields {
    const WHAT: &'static str = "outputs[0], an object";

    fn read<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
        match key {
            "name" => self.name = Some(map.next_value_seed(Text("outputs[0].name, a string"))?),
            "parameters" => map.next_value_seed(Object(&mut OutputParameters(self)))?,
            _ => drop(map.next_value::<IgnoredAny>()?),
        }
        Ok(())
    }
}

struct OutputParameters<'a>(&'a mut OutputFields);

impl Fields for OutputParameters<'_> {
    const WHAT: &'static str = "outputs[0].parameters, an object";

    fn read<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
        match key {
            "classification" => {
                let seed = Whole("outputs[0].parameters.classification, a whole number of classes");
                self.0.classification = Some(map.next_value_seed(seed)?);
            }
            "binary_data" => {
                let seed = Flag("outputs[0].parameters.binary_data, true or false");
                self.0.binary_data = Some(map.next_value_seed(seed)?);
            }
            "shared_memory_region" => return Err(shared_memory("outputs[0]")),
            _ => drop(map.next_value::<IgnoredAny>()?),
        }
        Ok(())
    }
}

fn shared_memory<E: Error>(tensor: &str) -> E {
    E::custom(format!(
        "{tensor}.parameters.shared_memory_region is not supported: send the tensor in the body"
    ))
}
