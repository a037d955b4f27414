//! The whole way from text to errors or a configuration.
mod probe {
    #[test]
    fn probe() {
        let text = std::fs::read_to_string(std::env::temp_dir().join("probe.yaml")).unwrap();
        match crate::config::parse(&text, "probe.yaml", std::path::Path::new("/etc"), &|_| None) {
            Ok(loaded) => println!("{loaded:#?}"),
            Err(errors) => println!("{errors}"),
        }
    }
}
