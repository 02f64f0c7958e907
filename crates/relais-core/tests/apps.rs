//! The app files that come with Relais, read as a server reads them at start.

use relais_core::vocabulary::App;

/// Parses one of `apps/`, and shows every mistake if there are any.
fn app(name: &str) -> App {
    let path = format!("{}/../../apps/{name}.toml", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).expect("the app file is there");
    match App::parse(&format!("apps/{name}.toml"), &text) {
        Ok(app) => app,
        Err(mistakes) => panic!("\n{mistakes}"),
    }
}

#[test]
fn each_app_file_is_an_app_of_its_own_name() {
    for name in ["studio", "wedding", "bam", "classroom", "stories"] {
        assert_eq!(&*app(name).name, name);
    }
}
