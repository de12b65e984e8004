/// The supported versions of the protocol, newest first.
enum MCPVersion {
    static let newest = "2025-11-25"
    static let known = [newest, "2025-06-18", "2025-03-26", "2024-11-05"]
    /// The version that a server over HTTP assumes when a client names none (2025-11-25, Transports).
    static let unnamed = "2025-03-26"
}
