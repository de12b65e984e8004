/// How an agent acts.
public enum ActionForm: String, Codable, Sendable, CaseIterable {
    /// It writes Python that calls the tools as functions.
    case code
    /// It writes one call with JSON arguments.
    case json
}
