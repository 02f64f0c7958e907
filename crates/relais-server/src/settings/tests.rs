//! Settings: which source wins, what is refused.

use super::*;

fn gather(
    flags: &[(&'static str, &str)],
    env: &[(&str, &str)],
    file: Option<&str>,
) -> Result<RawSettings, SettingsError> {
    let flags = flags
        .iter()
        .map(|(key, text)| (*key, (*text).to_owned()))
        .collect();
    let env: BTreeMap<String, String> = env
        .iter()
        .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
        .collect();
    let path = file.map(|text| {
        let path = std::env::temp_dir().join(format!(
            "relais-settings-{}-{:x}.toml",
            std::process::id(),
            text.len()
        ));
        std::fs::write(&path, text).expect("the file is written");
        path
    });
    RawSettings::gather(
        &flags,
        &|name| env.get(name).cloned(),
        path.as_deref().or(Some(Path::new("/dev/null"))),
    )
}

#[test]
fn a_flag_outranks_the_environment_which_outranks_the_file_which_outranks_the_default() {
    let raw = gather(
        &[("port", "1")],
        &[("WS_PORT", "2"), ("WS_HOST", "::1")],
        Some("port = 3\nhost = \"0.0.0.0\"\nshards = 2\n"),
    );
    let settings = raw.expect("gathered").check().expect("checked");
    assert_eq!(settings.listen.to_string(), "[::1]:1");
    assert_eq!(settings.shards, 2);
    assert_eq!(settings.drain_seconds, 10);
}

#[test]
fn an_unknown_key_in_the_file_is_an_error_that_names_the_known_ones() {
    let error = gather(&[], &[], Some("prot = 3001\n"))
        .err()
        .expect("refused")
        .to_string();
    assert!(
        error.contains("unknown setting `prot`") && error.contains("port"),
        "{error}"
    );
}

#[test]
fn a_number_out_of_range_names_the_setting_its_source_and_the_range() {
    let error = gather(&[], &[("WS_PORT", "70000")], None)
        .expect("gathered")
        .check()
        .err()
        .expect("refused")
        .to_string();
    assert_eq!(
        error,
        "setting `port` (environment WS_PORT) is wrong; expected a whole number from 0 to 65535"
    );
}

#[test]
fn beyond_loopback_no_secret_and_placeholder_secrets_are_refused() {
    for env in [
        vec![],
        vec![("JWT_SECRET", "your-secret-key")],
        vec![("JWT_SECRET", "only-thirty-one-bytes-long-12345")],
    ] {
        let mut env = env;
        env.push(("WS_HOST", "0.0.0.0"));
        let short = env
            .iter()
            .all(|(name, text)| *name != "JWT_SECRET" || text.len() < 32);
        assert_eq!(
            gather(&[], &env, None).expect("gathered").check().is_err(),
            short,
            "{env:?}"
        );
    }
}

#[test]
fn secrets_are_read_from_a_file_and_never_shown() {
    let path = std::env::temp_dir().join(format!("relais-secret-{}", std::process::id()));
    std::fs::write(&path, "a-secret-of-more-than-thirty-two-bytes\n").expect("written");
    let raw = gather(
        &[],
        &[("JWT_SECRET_FILE", path.to_str().expect("utf-8"))],
        None,
    )
    .expect("gathered");
    assert_eq!(
        raw.check().expect("checked").token_keys.secret.as_deref(),
        Some("a-secret-of-more-than-thirty-two-bytes")
    );
    assert!(raw.show().all(|(_, text, _)| !text.contains("thirty")));
}

#[test]
fn an_address_is_shown_without_the_password_in_it() {
    let show = |url: &str| {
        let raw = gather(&[], &[("COMFYUI_URL", url)], None).expect("gathered");
        let engine = raw.check().map(|settings| settings.image_engine);
        assert!(!format!("{engine:?}").contains("hunter2"));
        let mut shown = raw.show().filter(|(row, _, _)| row.key == "comfyui_url");
        shown.next().map(|(_, text, _)| text).expect("the row")
    };
    for (url, shown) in [
        ("http://10.0.0.8:8188/here", "http://10.0.0.8:8188/here"),
        (
            "http://ann:hunter2@comfy:8188/a",
            "http://(hidden)@comfy:8188/a",
        ),
        ("https://hunter2@comfy", "https://(hidden)@comfy"),
        (
            "http://a:hunter2@b@comfy?x=@y",
            "http://(hidden)@comfy?x=@y",
        ),
        (
            "http://comfy/@me,http://a:hunter2@b",
            "http://comfy/@me,http://(hidden)@b",
        ),
        ("", ""),
    ] {
        assert_eq!(show(url), shown);
    }
}

#[test]
fn a_file_that_cannot_be_parsed_is_refused_without_a_word_of_what_it_says() {
    let error = gather(&[], &[], Some("port = 3\njwt_secret = \"hunter2-hunter2\n"))
        .err()
        .expect("refused")
        .to_string();
    assert!(
        error.contains("line 2") && !error.contains("hunter2"),
        "{error}"
    );
}

#[test]
fn a_secret_file_that_is_empty_is_refused_and_not_development_mode() {
    let error = gather(&[], &[("JWT_SECRET_FILE", "/dev/null")], None)
        .err()
        .expect("refused");
    assert_eq!(
        error.to_string(),
        "unable to read /dev/null; JWT_SECRET_FILE names it, and it is empty"
    );
}

#[test]
fn origins_are_an_exact_list_and_a_path_is_refused() {
    let origins = |text| {
        gather(&[], &[("ALLOWED_ORIGINS", text)], None)
            .expect("gathered")
            .check()
            .map(|s| s.allowed_origins)
    };
    assert_eq!(origins("").expect("checked"), Origins::Loopback);
    assert_eq!(origins("*").expect("checked"), Origins::Any);
    let two = Origins::List(vec![
        "http://localhost:3000".into(),
        "https://staging.example.org".into(),
    ]);
    assert_eq!(
        origins("http://localhost:3000, https://staging.example.org").expect("checked"),
        two
    );
    assert!(origins("https://a.example.org/").is_err());
    assert!(origins("example.org").is_err());
}

#[test]
fn whoever_names_a_comfyui_and_no_other_engine_wants_it() {
    const URL: (&str, &str) = ("COMFYUI_URL", "http://127.0.0.1:8188");
    let engine = |env: &[(&str, &str)]| {
        let raw = gather(&[], env, None).expect("gathered");
        raw.check().map(|settings| settings.image_engine)
    };
    assert!(matches!(engine(&[]), Ok(ImageEngine::Embedded)));
    assert!(matches!(
        engine(&[URL, ("STUDIO_ENGINE", "embedded")]),
        Ok(ImageEngine::Embedded)
    ));
    assert!(matches!(
        engine(&[URL, ("STUDIO_ENGINE", "none")]),
        Ok(ImageEngine::None)
    ));
    for env in [&[URL][..], &[URL, ("STUDIO_ENGINE", "comfyui")]] {
        let Ok(ImageEngine::Comfy(comfy)) = engine(env) else {
            panic!("{env:?} chooses ComfyUI");
        };
        assert_eq!((comfy.url.as_str(), comfy.timeout.as_secs()), (URL.1, 900));
    }
    for (env, wrong) in [
        (&[("STUDIO_ENGINE", "comfyui")][..], "comfyui_url"),
        (&[("COMFYUI_URL", "gpu:8188")], "comfyui_url"),
        (
            &[URL, ("COMFYUI_WORKFLOW", "/dev/null")],
            "comfyui_workflow",
        ),
    ] {
        let error = engine(env).expect_err(wrong).to_string();
        assert!(error.contains(wrong), "{error}");
    }
}

#[test]
fn short_secrets_on_loopback_are_told_and_long_ones_are_not() {
    let warnings = |secret: &str, key: &str| {
        let raw = gather(&[], &[("JWT_SECRET", secret), ("API_KEY", key)], None);
        raw.and_then(|raw| raw.check()).expect("checked").warnings()
    };
    assert_eq!(
        warnings("short", "short"),
        [
            "JWT_SECRET is shorter than 32 bytes; beyond loopback it is refused",
            "an API_KEY is shorter than 16 bytes; beyond loopback it is refused",
        ]
    );
    let (secret, key) = ("x".repeat(32), "y".repeat(16));
    assert!(warnings(&secret, &key).is_empty());
}

#[test]
fn the_most_connections_that_nobody_has_set_are_those_of_the_table() {
    let raw = gather(&[], &[], None);
    let settings = raw.and_then(|raw| raw.check()).expect("checked");
    assert_eq!(settings.limits.connections_max, Limits::CONNECTIONS_MAX);
}
