import RetortCore

/// One API: a capability and the provider that offers it. Its name is `capability_provider`.
public struct WorldAPI: Sendable, Hashable {
    /// What it does.
    public let capability: APICapability
    /// A made-up word in lower case.
    public let provider: String

    /// How dependable a provider is; this never changes.
    public enum Reliability: Sendable, Hashable, CaseIterable {
        /// Answers at once.
        case steady
        /// Is busy the first time a given call is made.
        case flaky
        /// Never answers.
        case dead
    }

    /// The API of a provider.
    public init(_ capability: APICapability, provider: String) {
        self.capability = capability
        self.provider = provider
    }

    /// Parses `capability_provider`; nil for anything else.
    public init?(name: String) {
        guard let mark = name.lastIndex(of: "_"), let capability = APICapability(rawValue: String(name[..<mark])) else {
            return nil
        }
        self.init(capability, provider: String(name[name.index(after: mark)...]))
    }

    /// Such as `birth_year_fenn`.
    public var name: String { "\(capability.rawValue)_\(provider)" }

    /// The tool's document, as agents are shown it.
    public var document: ToolDocument {
        ToolDocument(
            name: name, function: capability.summary, input: capability.input, schema: capability.schema)
    }

    /// Of all names 70 % are steady, 15 % flaky and 15 % dead, decided by a hash of the name.
    public static func reliability(of provider: String) -> Reliability {
        switch StableHash.of("reliability of \(provider)") % 20 {
        case 0..<14: .steady
        case 14..<17: .flaky
        default: .dead
        }
    }
}
