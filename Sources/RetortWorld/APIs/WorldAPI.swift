import RetortCore

/// One API: what it can do, and who offers it. Its name is `capability_provider`.
public struct WorldAPI: Sendable, Hashable {
    public let capability: APICapability
    /// A made-up word.
    public let provider: String

    /// How dependable a provider is, the same at any time.
    public enum Reliability: Sendable, Hashable, CaseIterable {
        /// Answers at once.
        case steady
        /// Is busy the first time it is asked something.
        case flaky
        /// Never answers.
        case dead
    }

    public init(_ capability: APICapability, provider: String) {
        self.capability = capability
        self.provider = provider
    }

    /// Reads a name back; nil for one that is no API's.
    public init?(name: String) {
        guard let mark = name.lastIndex(of: "_"), let capability = APICapability(rawValue: String(name[..<mark])) else {
            return nil
        }
        self.init(capability, provider: String(name[name.index(after: mark)...]))
    }

    public var name: String { "\(capability.rawValue)_\(provider)" }

    public var document: ToolDocument {
        ToolDocument(
            name: name, function: capability.summary, input: capability.input, schema: capability.schema)
    }

    /// Seven of ten providers are steady; the others are flaky or dead in equal parts.
    public static func reliability(of provider: String) -> Reliability {
        switch StableHash.of("reliability of \(provider)") % 20 {
        case 0..<14: .steady
        case 14..<17: .flaky
        default: .dead
        }
    }
}
