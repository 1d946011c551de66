//! Tokens: `tm_<id>_<secret>`. The id is public and finds the row; of the secret, 256 random bits, only a BLAKE3 hash
//! is kept. A plain hash is enough, since there is nothing to guess.

use subtle::ConstantTimeEq as _;
use tidemill_plan::{Code, Digest, Problem};
use tidemill_store::{Role, TokenRow};

use crate::clock;

const PREFIX: &str = "tm_";
const ID_BYTES: usize = 8;
const ID_DIGITS: usize = ID_BYTES * 2;
const SECRET_DIGITS: usize = 64;

/// A token that was just made. `secret` is shown once.
#[derive(Clone)]
pub(crate) struct Minted {
    pub(crate) id: String,
    pub(crate) secret: String,
    pub(crate) hash: [u8; 32],
}

/// What a caller sent. Of no known form: a token that nobody has, for which the same work is done.
#[derive(Clone)]
pub(crate) struct Presented {
    pub(crate) id: String,
    hash: [u8; 32],
    form: Form,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Absent,
    Wrong,
    Right,
}

/// Who calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Caller {
    pub(crate) token: String,
    pub(crate) name: String,
    pub(crate) role: Role,
}

/// # Errors
/// When the system gives no randomness.
pub(crate) fn mint() -> Result<Minted, Problem> {
    let mut random = [0; ID_BYTES + 32];
    getrandom::fill(&mut random).map_err(|e| {
        let what = format!("the system gives no random numbers: {e}");
        Problem::new(Code("internal"), what, "this is a defect of the machine's set-up")
    })?;
    let (id, secret) = random.split_at(ID_BYTES);
    let (id, secret) = (hex(id), hex(secret));
    let hash = Digest::of(secret.as_bytes()).0;
    Ok(Minted { secret: [PREFIX, &id, "_", &secret].concat(), id, hash })
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, it| {
        write!(text, "{it:02x}").expect("writing to a text cannot fail");
        text
    })
}

impl Presented {
    /// From an `Authorization` header.
    pub(crate) fn of_header(header: Option<&str>) -> Self {
        let Some(header) = header else { return Self::unknown(Form::Absent) };
        let is_bearer = |it: &str| it.eq_ignore_ascii_case("bearer");
        let token = header.split_once(' ').filter(|(scheme, _)| is_bearer(scheme)).map(|(_, it)| it.trim());
        let parts = token.and_then(|it| it.strip_prefix(PREFIX)?.split_once('_'));
        let is_hex = |it: &str, digits| it.len() == digits && it.bytes().all(|it| it.is_ascii_hexdigit());
        match parts {
            Some((id, secret)) if is_hex(id, ID_DIGITS) && is_hex(secret, SECRET_DIGITS) => {
                Self { id: id.to_owned(), hash: Digest::of(secret.as_bytes()).0, form: Form::Right }
            }
            _ => Self::unknown(Form::Wrong),
        }
    }

    fn unknown(form: Form) -> Self {
        let secret = "0".repeat(SECRET_DIGITS);
        Self { id: "0".repeat(ID_DIGITS), hash: Digest::of(secret.as_bytes()).0, form }
    }

    /// Holds what was sent against what is kept. A token that is not kept is compared as well, with nothing.
    pub(crate) fn check(&self, kept: Option<&TokenRow>) -> Result<Caller, Problem> {
        const NOTHING: [u8; 32] = [0; 32];
        let hash = kept.map_or(&NOTHING[..], |it| it.hash.as_slice());
        let is_equal = bool::from(hash.ct_eq(&self.hash));
        let Some(row) = kept.filter(|_| is_equal) else {
            let (code, what) = match self.form {
                Form::Absent => (Code("no-token"), "the request has no token"),
                Form::Wrong | Form::Right => (Code("bad-token"), "the token is not known"),
            };
            let mend = "send `Authorization: Bearer TOKEN`, or `tidemill login URL`; an admin makes tokens with \
                        `tidemill tokens create`";
            return Err(Problem::new(code, what, mend));
        };
        if let Some(at) = row.revoked_at {
            let what = format!("token `{}` was revoked at {}", row.name, clock::text(at));
            return Err(Problem::new(Code("token-revoked"), what, "ask an admin for a new one"));
        }
        if let Some(at) = row.expires_at.filter(|at| *at <= clock::now()) {
            let what = format!("token `{}` expired at {}", row.name, clock::text(at));
            return Err(Problem::new(Code("token-expired"), what, "ask an admin for a new one"));
        }
        Ok(Caller { token: row.id.clone(), name: row.name.clone(), role: row.role })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(minted: &Minted) -> TokenRow {
        TokenRow {
            id: minted.id.clone(),
            name: "ann".to_owned(),
            hash: minted.hash.to_vec(),
            role: Role::Operator,
            created_at: 1,
            created_by: String::new(),
            expires_at: None,
            revoked_at: None,
            revoked_by: None,
            used_at: None,
        }
    }

    fn code(header: Option<&str>, kept: Option<&TokenRow>) -> &'static str {
        Presented::of_header(header).check(kept).map_or_else(|it| it.code.0, |_| "welcome")
    }

    #[test]
    fn a_token_is_taken_in_its_one_form_and_only_with_its_secret() {
        let minted = mint().expect("random numbers");
        let row = kept(&minted);
        let header = format!("Bearer {}", minted.secret);
        assert_eq!(code(Some(&header), Some(&row)), "welcome");
        assert_eq!(code(Some(&header.replace("Bearer", "bearer")), Some(&row)), "welcome");
        assert_eq!(code(Some(&header), None), "bad-token");
        assert_eq!(code(None, None), "no-token");
        let other = mint().expect("random numbers");
        let mixed = format!("Bearer tm_{}_{}", minted.id, other.secret.rsplit('_').next().expect("a secret"));
        assert_eq!(code(Some(&mixed), Some(&row)), "bad-token");
        for wrong in ["Bearer", "Bearer tm_", "Basic abc", "Bearer tm_1_2", "", "Bearer tm_é_ü"] {
            assert_eq!(code(Some(wrong), None), "bad-token", "{wrong}");
        }
    }

    #[test]
    fn an_expired_and_a_revoked_token_are_told_apart_only_for_who_has_the_secret() {
        let minted = mint().expect("random numbers");
        let header = format!("Bearer {}", minted.secret);
        let expired = TokenRow { expires_at: Some(1), ..kept(&minted) };
        let revoked = TokenRow { revoked_at: Some(1), ..kept(&minted) };
        assert_eq!(code(Some(&header), Some(&expired)), "token-expired");
        assert_eq!(code(Some(&header), Some(&revoked)), "token-revoked");
        let stranger = format!("Bearer tm_{}_{}", minted.id, "0".repeat(64));
        assert_eq!(code(Some(&stranger), Some(&revoked)), "bad-token");
    }
}
