//! The events of the border as objects, which have their name as `type`.

use frazil_border as border;
use napi::bindgen_prelude::{ToNapiValue, Uint8Array, set_named_property_raw};
use napi::sys;

/// An event on its way to JavaScript, where it is one of [`shape`]'s with its name as `type`.
pub struct Event(pub(crate) border::Event);

macro_rules! declare {
    ($( $(#[$doc:meta])* $name:ident { $( $(#[$field_doc:meta])* $field:ident: [$($type:tt)*], )* } )*) => {
        /// What each kind of event has. napi wants them public, and their names are those of the events.
        #[allow(unreachable_pub, non_snake_case)]
        mod shape {
            use napi::bindgen_prelude::Uint8Array;
            use napi_derive::napi;

            $(
                $(#[$doc])*
                #[napi(object, object_from_js = false, namespace = "event")]
                pub struct $name {
                    $( $(#[$field_doc])* pub $field: $($type)*, )*
                }
            )*

            /// W3C `message`.
            #[napi(object, object_from_js = false, namespace = "event")]
            pub struct Message {
                /// The number of its channel.
                pub channel: u32,
                /// Whether it is text, in UTF-8.
                pub text: bool,
                /// The whole message.
                pub data: Uint8Array,
            }

            /// What each kind of event has, by its name with a small first letter.
            #[allow(dead_code)] // It is a type for TypeScript alone.
            #[napi(object, object_from_js = false, object_to_js = false, namespace = "event")]
            pub struct Shapes {
                $( $(#[$doc])* pub $name: $name, )*
                /// W3C `message`.
                pub Message: Message,
            }
        }

        impl ToNapiValue for Event {
            unsafe fn to_napi_value(env: sys::napi_env, Self(event): Self) -> napi::Result<sys::napi_value> {
                let name = event.name();
                // SAFETY: the environment is the one that we were called with.
                unsafe {
                    let object = match event {
                        $( border::Event::$name { $($field),* } => {
                            ToNapiValue::to_napi_value(env, shape::$name { $($field),* })
                        } )*
                        border::Event::Message { channel, text, data } => {
                            ToNapiValue::to_napi_value(env, shape::Message { channel, text, data: Uint8Array::from(data) })
                        }
                    }?;
                    set_named_property_raw(env, object, c"type".as_ptr(), ToNapiValue::to_napi_value(env, name)?)?;
                    Ok(object)
                }
            }
        }
    };
}

border::events!(declare);
