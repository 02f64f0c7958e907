//! Development mode: no JWT_SECRET on loopback. A key of its own, kept in the data folder, so that tokens outlive a restart.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::RngCore as _;

/// A secret in the data folder, made on first use and readable by its owner only.
pub fn kept_secret(data: &Path, name: &str) -> io::Result<String> {
    fs::create_dir_all(data)?;
    let path = data.join(name);
    match fs::read_to_string(&path) {
        Ok(secret) if secret.trim().len() >= 32 => return Ok(secret.trim().to_owned()),
        Ok(_) => {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("{} holds no key; remove it", path.display()),
            ));
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let mut bytes = [0_u8; 32];
    rand::rng().fill_bytes(&mut bytes);
    let secret = URL_SAFE_NO_PAD.encode(bytes);
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&path)?;
    file.write_all(secret.as_bytes())?;
    file.sync_all()?;
    Ok(secret)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_made_once_and_readable_by_its_owner_only() {
        let data = std::env::temp_dir().join(format!("relais-development-{}", std::process::id()));
        let first = kept_secret(&data, "key").expect("made");
        assert_eq!(kept_secret(&data, "key").expect("read"), first);
        assert!(first.len() >= 43);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(
                fs::metadata(data.join("key"))
                    .expect("there")
                    .permissions()
                    .mode()
                    & 0o777,
                0o600
            );
        }
        fs::write(data.join("key"), "short").expect("written");
        assert!(kept_secret(&data, "key").is_err());
        fs::remove_dir_all(&data).expect("removed");
    }
}
