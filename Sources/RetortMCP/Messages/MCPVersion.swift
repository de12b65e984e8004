/// The versions of the protocol that are spoken, newest first.
enum MCPVersion {
    static let newest = "2025-11-25"
    static let known = [newest, "2025-06-18", "2025-03-26", "2024-11-05"]
    /// What a server over HTTP assumes of a client that names none (2025-11-25, Transports).
    static let unnamed = "2025-03-26"
}
