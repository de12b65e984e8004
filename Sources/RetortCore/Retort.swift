/// This software.
public enum Retort {
    /// Semantic version.
    public static let version = "0.1.0"
}
