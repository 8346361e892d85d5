//! The values that an inference request is made of, read into bounded memory.
//!
//! Each type here is a serde seed that carries its limit and the words for "expected ...". Nesting ends at the
//! rank of a tensor and lists end at a stated length, whatever a client sends; [`super::fields`] says which
//! field is which.

use std::fmt;

use serde::de::{
    DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Unexpected, Visitor,
};

/// The protocol lets `data` be nested as the shape is; an image batch has four dimensions.
const NESTING_MAX: usize = 4;

/// More dimensions than any tensor here has, so that a wrong shape can still be shown in the error.
const DIMENSIONS_MAX: usize = 8;

/// An object whose known fields are read one by one.
pub(super) trait Fields {
    /// Completes "expected ..." when something else stands there.
    const WHAT: &'static str;

    /// Reads the value of `key`, or skips it.
    fn read<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error>;
}

/// Reads an object into its fields.
pub(super) struct Object<'a, F>(pub(super) &'a mut F);

impl<'de, F: Fields> DeserializeSeed<'de> for Object<'_, F> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, source: D) -> Result<(), D::Error> {
        source.deserialize_any(self)
    }
}

impl<'de, F: Fields> Visitor<'de> for Object<'_, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(F::WHAT)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            self.0.read(&key, &mut map)?;
        }
        Ok(())
    }
}

/// A list of objects of which the network takes one. Its value: whether there was one.
pub(super) struct AtMostOne<'a, F> {
    /// Completes "expected ...".
    pub(super) what: &'static str,
    /// Where the object goes.
    pub(super) element: &'a mut F,
}

impl<'de, F: Fields> DeserializeSeed<'de> for AtMostOne<'_, F> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, source: D) -> Result<bool, D::Error> {
        source.deserialize_any(self)
    }
}

impl<'de, F: Fields> Visitor<'de> for AtMostOne<'_, F> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.what)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<bool, A::Error> {
        let found = seq.next_element_seed(Object(self.element))?.is_some();
        if seq.next_element::<IgnoredAny>()?.is_some() {
            let what = self.what;
            return Err(A::Error::custom(format!(
                "{what}, has more than one tensor: this network takes one"
            )));
        }
        Ok(found)
    }
}

/// The elements of a tensor, nested or flat, in row-major order.
pub(super) struct Numbers<'a> {
    numbers: &'a mut Vec<f32>,
    max: usize,
    depth: usize,
}

impl<'a> Numbers<'a> {
    /// Appends to `numbers` until it holds `max`.
    pub(super) fn new(numbers: &'a mut Vec<f32>, max: usize) -> Self {
        Self { numbers, max, depth: 0 }
    }

    fn push<E: Error>(self, number: f64) -> Result<(), E> {
        if self.depth == 0 {
            return Err(E::invalid_type(Unexpected::Float(number), &self));
        }
        let narrow = number as f32;
        if !narrow.is_finite() {
            return Err(E::custom(format!("inputs[0].data holds {number}, which FP32 can not represent")));
        }
        if self.numbers.len() == self.max {
            let max = self.max;
            let limit = format!("inputs[0].data holds more than the {max} numbers of the largest batch");
            return Err(E::custom(limit));
        }
        self.numbers.push(narrow);
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Numbers<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, source: D) -> Result<(), D::Error> {
        source.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Numbers<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.depth {
            0 => f.write_str("inputs[0].data, an array of numbers"),
            _ => f.write_str("a number in inputs[0].data"),
        }
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<(), E> {
        self.push(number)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<(), E> {
        self.push(number as f64)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<(), E> {
        self.push(number as f64)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        if self.depth == NESTING_MAX {
            return Err(A::Error::custom("inputs[0].data is nested deeper than its four dimensions"));
        }
        let (max, depth) = (self.max, self.depth + 1);
        while seq.next_element_seed(Numbers { numbers: self.numbers, max, depth })?.is_some() {}
        Ok(())
    }
}

/// A shape.
pub(super) struct Dimensions;

impl<'de> DeserializeSeed<'de> for Dimensions {
    type Value = Vec<u64>;

    fn deserialize<D: Deserializer<'de>>(self, source: D) -> Result<Vec<u64>, D::Error> {
        source.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Dimensions {
    type Value = Vec<u64>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("inputs[0].shape, an array of whole numbers")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<u64>, A::Error> {
        let mut shape = Vec::with_capacity(DIMENSIONS_MAX);
        while let Some(dimension) = seq.next_element_seed(Whole("inputs[0].shape, whole numbers"))? {
            if shape.len() == DIMENSIONS_MAX {
                return Err(A::Error::custom("inputs[0].shape has more dimensions than any tensor here"));
            }
            shape.push(dimension);
        }
        Ok(shape)
    }
}

// Single values; the text completes "expected ...".

/// A string.
pub(super) struct Text(pub(super) &'static str);
/// A whole number, not negative.
pub(super) struct Whole(pub(super) &'static str);
/// True or false.
pub(super) struct Flag(pub(super) &'static str);

macro_rules! single_value {
    ($seed:ident => $value:ty, $visit:ident($given:ty)) => {
        impl<'de> DeserializeSeed<'de> for $seed {
            type Value = $value;

            fn deserialize<D: Deserializer<'de>>(self, source: D) -> Result<$value, D::Error> {
                source.deserialize_any(self)
            }
        }

        impl<'de> Visitor<'de> for $seed {
            type Value = $value;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.0)
            }

            fn $visit<E: Error>(self, value: $given) -> Result<$value, E> {
                Ok(value.into())
            }
        }
    };
}

single_value!(Text => String, visit_str(&str));
single_value!(Whole => u64, visit_u64(u64));
single_value!(Flag => bool, visit_bool(bool));
