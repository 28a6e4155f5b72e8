//! Files, and who they belong to, as configuration writes them.

use std::path::{Path, PathBuf};

use crate::config::format::Format;

/// The absolute path of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::config) struct FilePath(pub(in crate::config) PathBuf);

impl Format for FilePath {
    const NAME: &'static str = "file-path";
    const WHAT: &'static str = "an absolute path such as /etc/ssl/corporate.pem";
    const EXAMPLE: &'static str = "/etc/ssl/corporate.pem";

    fn parse(text: &str) -> Result<Self, String> {
        if Path::new(text).is_absolute() && !text.contains('\0') {
            Ok(Self(text.into()))
        } else {
            Err(format!("must be {}", Self::WHAT))
        }
    }

    fn show(&self) -> String {
        self.0.display().to_string()
    }
}

/// A user or group of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::config) enum Account {
    /// By its name.
    Name(String),
    /// By its number.
    Number(u32),
}

impl Format for Account {
    const NAME: &'static str = "account";
    const WHAT: &'static str = "the name or number of a user or group";
    const EXAMPLE: &'static str = "1000";

    fn parse(text: &str) -> Result<Self, String> {
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"._-$".contains(&byte);
        if text.is_empty() || !text.bytes().all(legal) {
            return Err(format!("must be {}", Self::WHAT));
        }
        if !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Ok(Self::Name(text.to_owned()));
        }
        // The greatest stands for no change at all (chown(2)).
        match text.parse() {
            Ok(number) if number < u32::MAX => Ok(Self::Number(number)),
            _ => Err("must be a number below 4294967295, or a name".to_owned()),
        }
    }

    fn show(&self) -> String {
        match self {
            Self::Name(name) => name.clone(),
            Self::Number(number) => number.to_string(),
        }
    }
}

/// The permissions of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::config) struct FileMode(pub(in crate::config) u32);

impl Format for FileMode {
    const NAME: &'static str = "file-mode";
    const WHAT: &'static str = "permissions in octal digits such as 0660";
    const EXAMPLE: &'static str = "0660";

    fn parse(text: &str) -> Result<Self, String> {
        let octal = |byte: u8| (b'0'..=b'7').contains(&byte);
        match u32::from_str_radix(text, 8) {
            Ok(mode)
                if mode <= 0o777 && (3..=4).contains(&text.len()) && text.bytes().all(octal) =>
            {
                Ok(Self(mode))
            }
            _ => Err(format!("must be {}, up to 0777", Self::WHAT)),
        }
    }

    fn show(&self) -> String {
        format!("{:04o}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mode_is_octal_and_an_account_a_name_or_a_number() {
        assert_eq!(FileMode::parse("0660"), Ok(FileMode(0o660)));
        assert_eq!(FileMode::parse("777"), Ok(FileMode(0o777)));
        assert_eq!(FileMode(0o600).show(), "0600");
        for wrong in ["", "66", "0680", "1777", "00660", "+660", "rw-"] {
            assert!(FileMode::parse(wrong).is_err(), "{wrong}");
        }
        assert_eq!(Account::parse("0"), Ok(Account::Number(0)));
        assert_eq!(
            Account::parse("www-data"),
            Ok(Account::Name("www-data".to_owned()))
        );
        for wrong in ["", "a b", "a:b", "4294967295", "99999999999"] {
            assert!(Account::parse(wrong).is_err(), "{wrong}");
        }
    }
}
