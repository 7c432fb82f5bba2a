//! C's integers: which type an operation has, and what it comes to, on x86-64.
//!
//! Values are kept as `i128` in the range of their type (C11 6.3.1, 6.4.4.1, 6.5).

/// The types that C computes in; smaller ones are promoted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Integer {
    Int,
    Unsigned,
    Long,
    UnsignedLong,
    LongLong,
    UnsignedLongLong,
}

use Integer::{Int, Long, LongLong, Unsigned, UnsignedLong, UnsignedLongLong};

/// What an operator makes of two numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Outcome {
    /// A number of their common type.
    Number(i128),
    /// Yes or no, which in C is an `int`.
    Truth(bool),
}

impl Integer {
    /// The type of a number as it is written.
    pub(super) fn of_literal(value: u64, decimal: bool, unsigned: bool, longs: u8) -> Integer {
        let fits = |ty: Integer| ty.wrap(i128::from(value)) == i128::from(value);
        let all: &[Integer] = match longs {
            0 => &[Int, Unsigned, Long, UnsignedLong],
            1 => &[Long, UnsignedLong],
            _ => &[LongLong, UnsignedLongLong],
        };
        // A decimal number without a suffix is never unsigned, except where nothing else holds it.
        let allowed = |ty: Integer| match (unsigned, decimal) {
            (true, _) => !ty.signed(),
            (false, true) => ty.signed() || ty.size() == 8 && !fits(Long),
            (false, false) => true,
        };
        let mut candidates = all.iter().copied().filter(|ty| allowed(*ty));
        candidates.find(|ty| fits(*ty)).unwrap_or(UnsignedLongLong)
    }

    /// The type that an integer of this size is promoted to; `None` when it is wider than C
    /// computes. A bit-field counts by its width.
    pub(super) fn promoted(
        size: u64,
        signed: bool,
        long_long: bool,
        width: Option<u32>,
    ) -> Option<Integer> {
        let width = width.map_or(size.saturating_mul(8), u64::from);
        Some(match (size, signed) {
            (1 | 2, _) => Int,
            (4 | 8, _) if width < 32 => Int,
            (4 | 8, true) if width == 32 && size == 4 => Int,
            (4, _) => Unsigned,
            (8, true) if long_long => LongLong,
            (8, false) if long_long => UnsignedLongLong,
            (8, true) => Long,
            (8, false) => UnsignedLong,
            _ => return None,
        })
    }

    /// The type that both are converted to (the usual arithmetic conversions).
    pub(super) fn common(self, other: Integer) -> Integer {
        let (high, low) = if self.rank() >= other.rank() { (self, other) } else { (other, self) };
        // An unsigned type of the same size does not fit into the signed one of higher rank.
        if high.signed() && !low.signed() && low.size() == high.size() {
            high.to_unsigned()
        } else {
            high
        }
    }

    pub(super) const fn size(self) -> u64 {
        match self {
            Int | Unsigned => 4,
            _ => 8,
        }
    }

    pub(super) const fn signed(self) -> bool {
        matches!(self, Int | Long | LongLong)
    }

    /// As debug information calls it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Int => "int",
            Unsigned => "unsigned int",
            Long => "long int",
            UnsignedLong => "long unsigned int",
            LongLong => "long long int",
            UnsignedLongLong => "long long unsigned int",
        }
    }

    const fn rank(self) -> u8 {
        match self {
            Int | Unsigned => 0,
            Long | UnsignedLong => 1,
            LongLong | UnsignedLongLong => 2,
        }
    }

    const fn to_unsigned(self) -> Integer {
        match self {
            Int | Unsigned => Unsigned,
            Long | UnsignedLong => UnsignedLong,
            LongLong | UnsignedLongLong => UnsignedLongLong,
        }
    }

    /// The value that a number has in this type: its lowest bits.
    pub(super) fn wrap(self, value: i128) -> i128 {
        wrap(value, self.size(), self.signed())
    }

    /// `a SIGN b`, both of this type already; shifts are [`Integer::shift`].
    pub(super) fn compute(self, sign: &str, a: i128, b: i128) -> Result<Outcome, &'static str> {
        let zero = "division by zero";
        let number = match sign {
            "+" => a.wrapping_add(b),
            "-" => a.wrapping_sub(b),
            "*" => a.wrapping_mul(b),
            "/" => a.checked_div(b).ok_or(zero)?,
            "%" => a.checked_rem(b).ok_or(zero)?,
            "&" => a & b,
            "|" => a | b,
            "^" => a ^ b,
            "==" => return Ok(Outcome::Truth(a == b)),
            "!=" => return Ok(Outcome::Truth(a != b)),
            "<" => return Ok(Outcome::Truth(a < b)),
            ">" => return Ok(Outcome::Truth(a > b)),
            "<=" => return Ok(Outcome::Truth(a <= b)),
            ">=" => return Ok(Outcome::Truth(a >= b)),
            _ => return Err("an operator that numbers do not have"),
        };
        Ok(Outcome::Number(self.wrap(number)))
    }

    /// `a << by` or `a >> by`; the type is that of `a` alone.
    pub(super) fn shift(self, left: bool, a: i128, by: i128) -> Result<i128, String> {
        let bits = i128::from(self.size() * 8);
        let by = Some(by).filter(|by| (0..bits).contains(by));
        let by = by.and_then(|by| u32::try_from(by).ok()).ok_or_else(|| {
            let wider = if bits == 32 { "; a number with UL behind it has 64" } else { "" };
            format!("shifted further than the {bits} bits that there are{wider}")
        })?;
        // 64 bits shifted by up to 63 stay within 127.
        Ok(self.wrap(if left { a.wrapping_shl(by) } else { a >> by }))
    }
}

/// The lowest bits of a number, as a number of so many bytes.
pub(super) fn wrap(value: i128, size: u64, signed: bool) -> i128 {
    let width = u32::try_from(size.saturating_mul(8)).unwrap_or(128);
    crate::object::extract(u128::from_ne_bytes(value.to_ne_bytes()), 0, width, signed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_usual_arithmetic_conversions_are_c_s() {
        for (a, b, common) in [
            (Int, Int, Int),
            (Int, Unsigned, Unsigned),
            (Long, Unsigned, Long),
            (Long, UnsignedLong, UnsignedLong),
            (LongLong, Unsigned, LongLong),
            (LongLong, UnsignedLong, UnsignedLongLong),
            (Int, UnsignedLongLong, UnsignedLongLong),
        ] {
            assert_eq!((a.common(b), b.common(a)), (common, common), "{a:?} {b:?}");
        }
    }

    #[test]
    fn small_integers_and_narrow_bit_fields_become_int() {
        assert_eq!(Integer::promoted(1, false, false, None), Some(Int));
        assert_eq!(Integer::promoted(2, true, false, None), Some(Int));
        assert_eq!(Integer::promoted(4, false, false, Some(31)), Some(Int));
        assert_eq!(Integer::promoted(4, false, false, Some(32)), Some(Unsigned));
        assert_eq!(Integer::promoted(8, false, false, None), Some(UnsignedLong));
        assert_eq!(Integer::promoted(8, true, true, None), Some(LongLong));
        assert_eq!(Integer::promoted(16, true, false, None), None);
    }

    #[test]
    fn a_shift_too_far_is_refused() {
        assert_eq!(UnsignedLong.shift(true, 1, 63), Ok(1 << 63));
        assert!(Int.shift(true, 1, 32).unwrap_err().contains("UL"));
        assert!(Int.shift(false, 1, -1).is_err());
        assert_eq!(Int.shift(true, 1, 31), Ok(i32::MIN.into()));
    }

    /// Every operator on one of Rust's integer types, held against ours.
    macro_rules! held_against {
        ($name:ident, $ty:ty, $integer:expr) => {
            proptest! {
                #[test]
                fn $name(a: $ty, b: $ty, by in 0..<$ty>::BITS) {
                    let ours = |sign| $integer.compute(sign, a.into(), b.into());
                    let number = |value: $ty| Ok(Outcome::Number(value.into()));
                    prop_assert_eq!(ours("+"), number(a.wrapping_add(b)));
                    prop_assert_eq!(ours("-"), number(a.wrapping_sub(b)));
                    prop_assert_eq!(ours("*"), number(a.wrapping_mul(b)));
                    prop_assert_eq!(ours("&"), number(a & b));
                    prop_assert_eq!(ours("|"), number(a | b));
                    prop_assert_eq!(ours("^"), number(a ^ b));
                    if b != 0 {
                        prop_assert_eq!(ours("/"), number(a.wrapping_div(b)));
                        prop_assert_eq!(ours("%"), number(a.wrapping_rem(b)));
                    }
                    prop_assert_eq!(ours("<"), Ok(Outcome::Truth(a < b)));
                    prop_assert_eq!(ours(">="), Ok(Outcome::Truth(a >= b)));
                    prop_assert_eq!(ours("=="), Ok(Outcome::Truth(a == b)));
                    let shifted = |left| $integer.shift(left, a.into(), by.into());
                    prop_assert_eq!(shifted(true), Ok((a << by).into()));
                    prop_assert_eq!(shifted(false), Ok((a >> by).into()));
                }
            }
        };
    }
    held_against!(int_is_rust_s_i32, i32, Int);
    held_against!(unsigned_int_is_rust_s_u32, u32, Unsigned);
    held_against!(long_is_rust_s_i64, i64, Long);
    held_against!(unsigned_long_is_rust_s_u64, u64, UnsignedLong);

    #[test]
    fn division_is_cut_towards_zero_and_by_zero_refused() {
        assert_eq!(Int.compute("/", -7, 2), Ok(Outcome::Number(-3)));
        assert_eq!(Int.compute("%", -7, 2), Ok(Outcome::Number(-1)));
        assert_eq!(Int.compute("/", i32::MIN.into(), -1), Ok(Outcome::Number(i32::MIN.into())));
        assert_eq!(Long.compute("/", 1, 0), Err("division by zero"));
    }
}
