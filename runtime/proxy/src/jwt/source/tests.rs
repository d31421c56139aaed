//! Files that are replaced by good and by broken ones. (What is asked of a server is in `tests/it/traffic`.)

use super::*;

const KEYS: &str = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","kid":"ID"}]}"#;

fn knows(source: &Source, id: &str) -> bool {
    source.keys().is_some_and(|keys| keys.knows(Some(id)))
}

#[test]
fn a_source_is_one_for_all_that_name_it_and_is_forgotten_with_them() {
    let sources = Sources::start(Fetching::default()).unwrap();
    let (one, other) = (sources.at("/nowhere/keys.json"), sources.at("/nowhere/keys.json"));
    assert!(Arc::ptr_eq(&one, &other) && one.keys().is_none());
    let gone = Arc::downgrade(&one);
    drop((one, other));
    let start = std::time::Instant::now();
    // Whoever follows it has it for a moment from time to time.
    while gone.strong_count() > 0 {
        assert!(start.elapsed() < Duration::from_secs(20));
        std::thread::sleep(LOOK / 10);
    }
}

#[test]
fn what_is_no_set_of_keys_does_not_replace_one() {
    let source = Source::new("/keys.json");
    let take = |text: &str| source.take(Ok(text.as_bytes().to_vec()));
    assert!(take("{}").is_err() && source.keys().is_none());
    assert_eq!(source.kept(), "there are none yet");
    assert!(take(&KEYS.replace("ID", "a")).is_ok() && knows(&source, "a"));
    assert!(take("{\"keys\":[]}").is_err() && source.take(Err("gone".to_owned())).is_err());
    assert!(knows(&source, "a"));
    assert_eq!(source.kept(), "the keys before them stay");
    assert!(take(&KEYS.replace("ID", "b")).is_ok() && knows(&source, "b") && !knows(&source, "a"));
}

#[test]
fn a_file_is_read_at_once() {
    let path = std::env::temp_dir().join(format!("mesh-jwks-{}.json", std::process::id()));
    std::fs::write(&path, KEYS.replace("ID", "a")).unwrap();
    let sources = Sources::start(Fetching::default()).unwrap();
    let source = sources.at(path.to_str().unwrap());
    assert!(knows(&source, "a"));
    std::fs::remove_file(path).unwrap();
}
