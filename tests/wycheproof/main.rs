//! The primitives under our records, held against Project Wycheproof's vectors.
//!
//! Records use AES-256-GCM, HKDF-SHA-512 and, in the audit chain, HMAC-SHA-256; their smaller and
//! larger kin are checked with them. The counts are exact: a set that lost vectors would pass too.

use aws_lc_rs::aead::{self, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{self, KeyType, Salt};
use aws_lc_rs::hmac;
use wycheproof::{TestResult, aead::TestSet as AeadSet, hkdf::TestSet as HkdfSet, mac::TestSet as MacSet};

const TAG_BITS: usize = 128;

#[test]
fn aes_gcm_seals_and_opens_as_specified_and_other_nonces_cannot_be_said() {
    let set = AeadSet::load(wycheproof::aead::TestName::AesGcm).expect("the crate holds its vectors");
    let (mut valid, mut invalid, mut unreachable, mut of_ours) = (0, 0, 0, 0);
    for group in &set.test_groups {
        assert_eq!(group.tag_size, TAG_BITS, "no shorter tag is in the set, and none in our types");
        for test in &group.tests {
            let Ok(nonce) = Nonce::try_assume_unique_for_key(&test.nonce) else {
                assert_ne!(group.nonce_size, NONCE_LEN * 8);
                unreachable += 1;
                continue;
            };
            assert_eq!(group.nonce_size, NONCE_LEN * 8);
            let key = gcm_key(&test.key);
            let aad = Aad::from(test.aad.as_slice());
            let mut plain = vec![0; test.ct.len()];
            let opened = key.open_separate_gather(nonce, aad, &test.ct, &test.tag, &mut plain);
            match test.result {
                TestResult::Valid => {
                    assert!(opened.is_ok(), "{}", test.tc_id);
                    assert_eq!(plain, test.pt.as_slice(), "{}", test.tc_id);
                    assert_eq!(sealed(&key, test), (test.ct.to_vec(), test.tag.to_vec()), "{}", test.tc_id);
                    valid += 1;
                }
                TestResult::Invalid => {
                    assert!(opened.is_err(), "{}", test.tc_id);
                    invalid += 1;
                }
                TestResult::Acceptable => panic!("{}: acceptable to whom?", test.tc_id),
            }
            of_ours += usize::from(test.key.len() == 32);
        }
    }
    println!("AES-GCM: {valid} valid, {invalid} invalid ({of_ours} of AES-256), {unreachable} unreachable");
    assert_eq!((valid, invalid, unreachable), (116, 81, 119));
    assert_eq!(valid + invalid + unreachable, set.number_of_tests);
}

fn gcm_key(bytes: &[u8]) -> LessSafeKey {
    let algorithm = match bytes.len() {
        16 => &aead::AES_128_GCM,
        24 => &aead::AES_192_GCM,
        32 => &aead::AES_256_GCM,
        length => panic!("AES has no key of {length} bytes"),
    };
    UnboundKey::new(algorithm, bytes).map(LessSafeKey::new).expect("the length is right")
}

fn sealed(key: &LessSafeKey, test: &wycheproof::aead::Test) -> (Vec<u8>, Vec<u8>) {
    let nonce = Nonce::try_assume_unique_for_key(&test.nonce).expect("it has been one before");
    let mut text = test.pt.to_vec();
    let tag = key.seal_in_place_separate_tag(nonce, Aad::from(test.aad.as_slice()), &mut text);
    (text, tag.expect("short texts seal").as_ref().to_vec())
}

#[test]
fn hkdf_derives_as_specified() {
    use wycheproof::hkdf::TestName::{HkdfSha256, HkdfSha512};
    for (name, algorithm, want) in
        [(HkdfSha256, hkdf::HKDF_SHA256, (83, 3)), (HkdfSha512, hkdf::HKDF_SHA512, (80, 3))]
    {
        let set = HkdfSet::load(name).expect("the crate holds its vectors");
        let (mut valid, mut invalid) = (0, 0);
        for test in set.test_groups.iter().flat_map(|group| &group.tests) {
            let key = Salt::new(algorithm, &test.salt).extract(&test.ikm);
            let mut derived = vec![0; test.size];
            let info = [test.info.as_slice()];
            let filled = key.expand(&info, Length(test.size)).and_then(|okm| okm.fill(&mut derived));
            if test.result.must_fail() {
                assert!(filled.is_err(), "{name:?} {}", test.tc_id);
                invalid += 1;
            } else {
                assert!(filled.is_ok() && derived == test.okm.as_slice(), "{name:?} {}", test.tc_id);
                valid += 1;
            }
        }
        println!("{name:?}: {valid} valid, {invalid} invalid");
        assert_eq!((valid, invalid), want, "{name:?}");
        assert_eq!(valid + invalid, set.number_of_tests);
    }
}

struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

/// Half of the vectors hold shortened tags. Nothing of ours takes those: `hmac::verify` refuses
/// them, so here the full tag is made and cut.
#[test]
fn hmac_signs_as_specified() {
    use wycheproof::mac::TestName::{HmacSha256, HmacSha512};
    for (name, algorithm, full) in [(HmacSha256, hmac::HMAC_SHA256, 32), (HmacSha512, hmac::HMAC_SHA512, 64)]
    {
        let set = MacSet::load(name).expect("the crate holds its vectors");
        let (mut valid, mut invalid, mut short) = (0, 0, 0);
        for test in set.test_groups.iter().flat_map(|group| &group.tests) {
            let key = hmac::Key::new(algorithm, &test.key);
            let tag = hmac::sign(&key, &test.msg);
            let same = tag.as_ref().starts_with(&test.tag);
            assert_eq!(same, !test.result.must_fail(), "{name:?} {}", test.tc_id);
            let verified = hmac::verify(&key, &test.msg, &test.tag).is_ok();
            assert_eq!(verified, same && test.tag.len() == full, "{name:?} {}", test.tc_id);
            valid += usize::from(same);
            invalid += usize::from(!same);
            short += usize::from(test.tag.len() < full);
        }
        println!("{name:?}: {valid} valid, {invalid} invalid; {short} of them shortened");
        assert_eq!((valid, invalid, short), (66, 108, 87), "{name:?}");
        assert_eq!(valid + invalid, set.number_of_tests);
    }
}
