//! The events, declared for uniffi.

use frazil_border::events;

macro_rules! declare {
    ($( $(#[$doc:meta])* $name:ident { $( $(#[$field_doc:meta])* $field:ident: [$($type:tt)*], )* } )*) => {
        /// Something happened, or something is asked of the driver. Events come in the order in which they happened.
        #[derive(Clone, uniffi::Enum)]
        pub enum Event {
            $(
                $(#[$doc])*
                $name { $( $(#[$field_doc])* $field: $($type)*, )* },
            )*
            /// W3C `message`.
            Message {
                /// The number of its channel.
                channel: u32,
                /// Whether it is text, in UTF-8.
                text: bool,
                /// The whole message.
                data: Vec<u8>,
            },
        }

        impl From<frazil_border::Event> for Event {
            fn from(event: frazil_border::Event) -> Self {
                match event {
                    $( frazil_border::Event::$name { $($field,)* } => Self::$name { $($field,)* }, )*
                    frazil_border::Event::Message { channel, text, data } => Self::Message { channel, text, data },
                }
            }
        }
    };
}

events!(declare);
