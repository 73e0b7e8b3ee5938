//! The address guard: no private, link-local, metadata or loopback address, in whatever spelling.
//!
//! An address that embeds another one (IPv4-mapped, NAT64, 6to4, Teredo) is unpacked and judged
//! by what is inside. The list follows the IANA special-purpose registries (RFC 6890 and its
//! updates); what isn't plainly public is refused.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Which addresses a request may be sent to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Public addresses only.
    Public,
    /// Loopback addresses only: the stand-ins of a development Environment.
    Loopback,
}

impl Reach {
    /// Whether the address is within reach.
    pub(crate) fn allows(self, address: IpAddr) -> bool {
        match self {
            Reach::Public => is_public(address),
            Reach::Loopback => is_loopback(address),
        }
    }
}

fn is_loopback(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_loopback(),
        IpAddr::V6(v6) => v6 == Ipv6Addr::LOCALHOST,
    }
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = matches!(
        (a, b, c),
        (0 | 10 | 127 | 224.., _, _)
            | (100, 64..=127, _)
            | (169, 254, _)
            | (172, 16..=31, _)
            | (192, 168, _)
            | (192, 0, 0 | 2)
            | (192, 31, 196)
            | (192, 52, 193)
            | (192, 88, 99)
            | (192, 175, 48)
            | (198, 18..=19, _)
            | (198, 51, 100)
            | (203, 0, 113)
    );
    !special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let s = address.segments();
    let embedded = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match s {
        // NAT64 well-known prefix, 64:ff9b::/96 (RFC 6052).
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => is_public_v4(embedded(high, low)),
        // Global unicast is 2000::/3 only; everything else is mapped, local, multicast or unassigned.
        [first, ..] if first & 0xe000 != 0x2000 => false,
        // 6to4, 2002::/16 (RFC 3056).
        [0x2002, high, low, ..] => is_public_v4(embedded(high, low)),
        // Teredo, ORCHID and the rest of 2001::/23 are protocol assignments; 2001:db8::/32 and
        // 3fff::/20 are documentation; 2620:4f:8000::/48 and 5f00::/16 are special too.
        [0x2001, second, ..] if second < 0x0200 || second == 0x0db8 => false,
        [0x3fff, second, ..] if second < 0x1000 => false,
        [0x2620, 0x004f, 0x8000, ..] => false,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plainly_public_addresses_are_within_public_reach() {
        for (address, public) in [
            ("1.1.1.1", true),
            ("3.68.124.168", true),
            ("100.63.255.255", true),
            ("172.32.0.1", true),
            ("2606:4700::1111", true),
            ("64:ff9b::101:101", true),
            ("2002:101:101::", true),
            ("169.254.169.254", false),
            ("169.254.170.2", false),
            ("169.254.170.23", false),
            ("fd00:ec2::254", false),
            ("127.0.0.1", false),
            ("127.255.255.254", false),
            ("0.0.0.0", false),
            ("10.0.0.1", false),
            ("172.16.0.1", false),
            ("192.168.1.1", false),
            ("100.64.0.1", false),
            ("192.0.0.192", false),
            ("198.18.0.1", false),
            ("198.19.255.255", false),
            ("203.0.113.9", false),
            ("224.0.0.1", false),
            ("240.0.0.1", false),
            ("255.255.255.255", false),
            ("::", false),
            ("::1", false),
            ("::ffff:169.254.169.254", false),
            ("::ffff:a9fe:a9fe", false),
            ("::ffff:1.1.1.1", false),
            ("::a9fe:a9fe", false),
            ("64:ff9b::a9fe:a9fe", false),
            ("64:ff9b:1::1", false),
            ("2002:a9fe:a9fe::", false),
            ("2002:7f00:1::", false),
            ("2001:0:1234::1", false),
            ("2001:db8::1", false),
            ("3fff:123::1", false),
            ("fe80::1", false),
            ("fc00::1", false),
            ("fec0::1", false),
            ("ff02::1", false),
            ("100::1", false),
        ] {
            let address: IpAddr = address.parse().unwrap();
            assert_eq!(Reach::Public.allows(address), public, "{address}");
        }
    }

    #[test]
    fn loopback_reach_is_loopback_and_nothing_else() {
        for (address, loopback) in [
            ("127.0.0.1", true),
            ("127.9.9.9", true),
            ("::1", true),
            ("::ffff:127.0.0.1", false),
            ("1.1.1.1", false),
            ("10.0.0.1", false),
        ] {
            let address: IpAddr = address.parse().unwrap();
            assert_eq!(Reach::Loopback.allows(address), loopback, "{address}");
        }
    }
}
