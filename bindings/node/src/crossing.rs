//! How a value of the border becomes one of JavaScript's, and the other way round.

use crate::error::{Result, argument};

/// A value of JavaScript's that stands for a `T` of the border.
pub(crate) trait Crossing<T>: Sized {
    /// What stands for `value`.
    fn give(value: T) -> Self;

    /// What it stands for. `what` names it for a person.
    fn take(self, what: &str) -> Result<T>;
}

pub(crate) fn give<T, J: Crossing<T>>(value: T) -> J {
    J::give(value)
}

macro_rules! as_it_is {
    ($($type:ty),*) => {
        $(impl Crossing<$type> for $type {
            fn give(value: $type) -> Self {
                value
            }

            fn take(self, _what: &str) -> Result<$type> {
                Ok(self)
            }
        })*
    };
}

as_it_is!(String, bool, f64);

macro_rules! as_number {
    ($($type:ty),*) => {
        $(impl Crossing<$type> for f64 {
            fn give(value: $type) -> Self {
                value.into()
            }

            fn take(self, what: &str) -> Result<$type> {
                let range = 0.0..=Self::from(<$type>::MAX);
                if self.fract() != 0.0 || !range.contains(&self) {
                    return Err(argument(format!("{what} is {self}, which is no whole number from 0 to {}", <$type>::MAX)));
                }
                Ok(self as $type)
            }
        })*
    };
}

as_number!(u16, u32);

/// Absent, null, or a value.
impl<T, J: Crossing<T>> Crossing<Option<T>> for Option<Option<J>> {
    fn give(value: Option<T>) -> Self {
        value.map(|value| Some(J::give(value)))
    }

    fn take(self, what: &str) -> Result<Option<T>> {
        self.flatten().map(|value| value.take(what)).transpose()
    }
}

impl<T, J: Crossing<T>> Crossing<Vec<T>> for Vec<J> {
    fn give(values: Vec<T>) -> Self {
        values.into_iter().map(J::give).collect()
    }

    fn take(self, what: &str) -> Result<Vec<T>> {
        self.into_iter().map(|value| value.take(what)).collect()
    }
}
