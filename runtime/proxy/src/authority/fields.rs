//! What messages of protobuf are made of here: their fields, written down once (<https://protobuf.dev/programming-guides/encoding>).

/// Implements what both ways of a message need of each of its fields: `TAG kind name`.
macro_rules! fields {
    ($name:ident { $($tag:literal $kind:ident $field:ident,)* }) => {
        impl Message for $name {
            fn encode_raw(&self, buf: &mut impl BufMut) {
                $(fields!(@encode $kind, $tag, self.$field, buf);)*
            }

            fn merge_field(
                &mut self,
                tag: u32,
                wire_type: WireType,
                buf: &mut impl Buf,
                context: DecodeContext,
            ) -> Result<(), DecodeError> {
                match tag {
                    $($tag => fields!(@merge $kind, wire_type, self.$field, buf, context),)*
                    _ => skip_field(wire_type, tag, buf, context),
                }
            }

            fn encoded_len(&self) -> usize {
                0 $(+ fields!(@len $kind, $tag, self.$field))*
            }

            fn clear(&mut self) {
                *self = $name::default();
            }
        }
    };
    (@encode message, $tag:literal, $field:expr, $buf:ident) => {
        if let Some(own) = &$field { message::encode($tag, own, $buf) }
    };
    (@encode messages, $tag:literal, $field:expr, $buf:ident) => { message::encode_repeated($tag, &$field, $buf) };
    (@encode strings, $tag:literal, $field:expr, $buf:ident) => { string::encode_repeated($tag, &$field, $buf) };
    (@encode map, $tag:literal, $field:expr, $buf:ident) => {
        btree_map::encode(string::encode, string::encoded_len, string::encode, string::encoded_len, $tag, &$field, $buf)
    };
    (@encode $kind:ident, $tag:literal, $field:expr, $buf:ident) => {
        if !is_default(&$field) { $kind::encode($tag, &$field, $buf) }
    };
    (@merge message, $wire:ident, $field:expr, $buf:ident, $context:ident) => {
        message::merge($wire, $field.get_or_insert_default(), $buf, $context)
    };
    (@merge messages, $wire:ident, $field:expr, $buf:ident, $context:ident) => {
        message::merge_repeated($wire, &mut $field, $buf, $context)
    };
    (@merge strings, $wire:ident, $field:expr, $buf:ident, $context:ident) => {
        string::merge_repeated($wire, &mut $field, $buf, $context)
    };
    (@merge map, $wire:ident, $field:expr, $buf:ident, $context:ident) => {
        btree_map::merge(string::merge, string::merge, &mut $field, $buf, $context)
    };
    (@merge $kind:ident, $wire:ident, $field:expr, $buf:ident, $context:ident) => {
        $kind::merge($wire, &mut $field, $buf, $context)
    };
    (@len message, $tag:literal, $field:expr) => {
        $field.as_ref().map_or(0, |own| message::encoded_len($tag, own))
    };
    (@len messages, $tag:literal, $field:expr) => { message::encoded_len_repeated($tag, &$field) };
    (@len strings, $tag:literal, $field:expr) => { string::encoded_len_repeated($tag, &$field) };
    (@len map, $tag:literal, $field:expr) => {
        btree_map::encoded_len(string::encoded_len, string::encoded_len, $tag, &$field)
    };
    (@len $kind:ident, $tag:literal, $field:expr) => {
        if is_default(&$field) { 0 } else { $kind::encoded_len($tag, &$field) }
    };
}

pub(super) use fields;

/// Whether a field is not written (proto3).
pub(super) fn is_default<T: Default + PartialEq>(field: &T) -> bool {
    *field == T::default()
}
