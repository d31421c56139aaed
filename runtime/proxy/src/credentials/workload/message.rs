//! The messages of `FetchX509SVID` (SPIFFE Workload API 5.1). They are two and stay what they are, so they are written down here: what
//! would make them of their definition is five crates.

use prost::bytes::{Buf, BufMut};
use prost::encoding::{DecodeContext, WireType, btree_map, bytes, message, skip_field, string};
use prost::{DecodeError, Message};
use std::collections::BTreeMap;
use std::fmt;

/// `X509SVIDResponse`: all that there is, each time.
#[derive(Default)]
pub(super) struct Answer {
    pub(super) svids: Vec<Own>,
    /// DER of revocation lists.
    pub(super) crls: Vec<Vec<u8>>,
    /// DER of roots, by the SPIFFE ID of their trust domain.
    pub(super) federated: BTreeMap<String, Vec<u8>>,
}

/// `X509SVID`
#[derive(Default)]
pub(super) struct Own {
    pub(super) id: String,
    /// DER of certificates, one behind the other.
    pub(super) chain: Vec<u8>,
    /// DER of PKCS #8.
    pub(super) key: Vec<u8>,
    /// DER of certificates, one behind the other.
    pub(super) bundle: Vec<u8>,
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.svids).finish()
    }
}

impl fmt::Debug for Own {
    /// Nothing of a key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.id)
    }
}

impl Message for Answer {
    fn encode_raw(&self, buf: &mut impl BufMut) {
        message::encode_repeated(1, &self.svids, buf);
        bytes::encode_repeated(2, &self.crls, buf);
        btree_map::encode(
            string::encode,
            string::encoded_len,
            bytes::encode,
            bytes::encoded_len,
            3,
            &self.federated,
            buf,
        );
    }

    fn merge_field(
        &mut self,
        tag: u32,
        wire_type: WireType,
        buf: &mut impl Buf,
        context: DecodeContext,
    ) -> Result<(), DecodeError> {
        match tag {
            1 => message::merge_repeated(wire_type, &mut self.svids, buf, context),
            2 => bytes::merge_repeated(wire_type, &mut self.crls, buf, context),
            3 => btree_map::merge(string::merge, bytes::merge, &mut self.federated, buf, context),
            _ => skip_field(wire_type, tag, buf, context),
        }
    }

    fn encoded_len(&self) -> usize {
        message::encoded_len_repeated(1, &self.svids)
            + bytes::encoded_len_repeated(2, &self.crls)
            + btree_map::encoded_len(string::encoded_len, bytes::encoded_len, 3, &self.federated)
    }

    fn clear(&mut self) {
        *self = Answer::default();
    }
}

impl Message for Own {
    fn encode_raw(&self, buf: &mut impl BufMut) {
        string::encode(1, &self.id, buf);
        bytes::encode(2, &self.chain, buf);
        bytes::encode(3, &self.key, buf);
        bytes::encode(4, &self.bundle, buf);
    }

    fn merge_field(
        &mut self,
        tag: u32,
        wire_type: WireType,
        buf: &mut impl Buf,
        context: DecodeContext,
    ) -> Result<(), DecodeError> {
        match tag {
            1 => string::merge(wire_type, &mut self.id, buf, context),
            2 => bytes::merge(wire_type, &mut self.chain, buf, context),
            3 => bytes::merge(wire_type, &mut self.key, buf, context),
            4 => bytes::merge(wire_type, &mut self.bundle, buf, context),
            _ => skip_field(wire_type, tag, buf, context),
        }
    }

    fn encoded_len(&self) -> usize {
        string::encoded_len(1, &self.id)
            + bytes::encoded_len(2, &self.chain)
            + bytes::encoded_len(3, &self.key)
            + bytes::encoded_len(4, &self.bundle)
    }

    fn clear(&mut self) {
        *self = Own::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_read_as_it_was_written_and_unknown_fields_are_passed_over() {
        let own = Own { id: "spiffe://a/b".to_owned(), chain: vec![1; 300], key: vec![2], bundle: vec![3] };
        let federated = BTreeMap::from([("spiffe://c".to_owned(), vec![4])]);
        let mut bytes = Answer { svids: vec![own], crls: vec![vec![5]], federated }.encode_to_vec();
        // Field 15, a string, as a later version may have it.
        bytes.extend([15 << 3 | 2, 2, b'h', b'i']);
        let read = Answer::decode(&*bytes).unwrap();
        let [own] = &*read.svids else { panic!("{read:?}") };
        assert_eq!(
            (&*own.id, own.chain.len(), &*own.key, &*own.bundle),
            ("spiffe://a/b", 300, &[2][..], &[3][..])
        );
        assert_eq!((read.crls, read.federated.into_values().collect()), (vec![vec![5]], vec![vec![4]]));
        for end in 1..bytes.len() - 4 {
            // What is cut off is an error, or less: never a panic.
            let _ = Answer::decode(&bytes[..end]);
        }
        assert!(Answer::decode(&b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"[..]).is_err());
    }
}
