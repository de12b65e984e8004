import Foundation
import RetortWeb

/// Where the hub and its cache are, as the environment says: `HF_ENDPOINT`, `HF_TOKEN` (or `HF_TOKEN_PATH`, or the file `token` in
/// `HF_HOME`), `HF_HUB_CACHE`, `HF_HOME`, `HF_HUB_OFFLINE`, with the meanings that `huggingface_hub` gives them; and `HTTPS_PROXY` with its like.
public struct HubSettings: Sendable {
    /// Without a slash at its end.
    public var endpoint: String
    /// Who asks; nil is nobody in particular.
    public var token: HubToken?
    /// The cache's folder.
    public var cache: URL
    /// Whether no network may be used.
    public var isOffline: Bool
    /// Through which proxies it is reached; a wrong one is an error when the hub is first asked.
    var proxies: Result<ProxySettings, ProxyError> = .success(ProxySettings())
    /// The longest that a connection may take, and that no byte may come, in seconds.
    public var patienceSeconds = 60.0
    /// How often a request is tried that fails in a way that may pass.
    public var attempts = 5
    /// Before the second attempt, in seconds; twice as long before each further one.
    public var backoffSeconds = 1.0

    /// A hub that is reached without a proxy.
    /// - Parameter endpoint: its address; a slash at the end is left out.
    public init(endpoint: String, token: HubToken? = nil, cache: URL, isOffline: Bool = false) {
        self.endpoint = endpoint.hasSuffix("/") ? String(endpoint.dropLast()) : endpoint
        self.token = token
        self.cache = cache
        self.isOffline = isOffline
    }

    /// Reads an environment.
    public init(environment: [String: String] = ProcessInfo.processInfo.environment) {
        func value(_ name: String) -> String? {
            environment[name].map { $0.trimmingCharacters(in: .whitespacesAndNewlines) }.flatMap {
                $0.isEmpty ? nil : $0
            }
        }
        func folder(_ path: String) -> URL {
            URL(fileURLWithPath: (path as NSString).expandingTildeInPath, isDirectory: true)
        }
        let user = folder(value("HOME") ?? NSHomeDirectory())
        let general = value("XDG_CACHE_HOME").map(folder) ?? user.appendingPathComponent(".cache")
        let home = value("HF_HOME").map(folder) ?? general.appendingPathComponent("huggingface")
        let cache = (value("HF_HUB_CACHE") ?? value("HUGGINGFACE_HUB_CACHE")).map(folder)
        let file = value("HF_TOKEN_PATH").map(folder) ?? home.appendingPathComponent("token")
        let stored = try? String(contentsOf: file, encoding: .utf8)
        self.init(
            endpoint: value("HF_ENDPOINT") ?? "https://huggingface.co",
            token: (value("HF_TOKEN") ?? value("HUGGING_FACE_HUB_TOKEN") ?? stored).flatMap(HubToken.init),
            cache: cache ?? home.appendingPathComponent("hub"),
            isOffline: ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"].contains { name in
                ["1", "ON", "YES", "TRUE"].contains(value(name)?.uppercased())
            })
        proxies = Result { () throws(ProxyError) in try ProxySettings(environment: environment) }
    }
}

/// A token that is never shown.
public struct HubToken: Sendable, CustomStringConvertible, CustomDebugStringConvertible {
    let secret: String

    /// Nil for an empty text, and for one that no header could hold.
    public init?(_ text: String) {
        let trimmed = text.trimmingCharacters(in: .whitespacesAndNewlines)
        guard !trimmed.isEmpty, trimmed.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else { return nil }
        secret = trimmed
    }

    /// In words.
    public var description: String { "(a token)" }
    /// Never the token.
    public var debugDescription: String { description }
}
