/// Cuts a growing text at the first stop string, and holds back what may yet become one.
public struct StopMatcher: Sendable {
    private let stops: [String]
    private var held = ""

    /// - Parameter stops: empty ones are left out.
    public init(_ stops: [String]) { self.stops = stops.filter { !$0.isEmpty } }

    /// Takes new text; returns what is safe to show, and the stop string once one is complete.
    public mutating func push(_ text: String) -> (text: String, stop: String?) {
        held += text
        let found = stops.compactMap { stop in held.firstRange(of: stop).map { ($0.lowerBound, stop) } }
        if let (start, stop) = found.min(by: { $0.0 < $1.0 }) {
            let before = String(held[..<start])
            held = ""
            return (before, stop)
        }
        let kept = stops.map { overlap(of: held, with: $0) }.max() ?? 0
        let end = held.index(held.endIndex, offsetBy: -kept)
        let safe = String(held[..<end])
        held = String(held[end...])
        return (safe, nil)
    }

    /// What was held back, when the text ends without a stop string.
    public mutating func flush() -> String {
        defer { held = "" }
        return held
    }

    /// How many characters at the end of `text` could be the beginning of `stop`.
    private func overlap(of text: String, with stop: String) -> Int {
        (1..<max(stop.count, 1)).reversed().first { text.hasSuffix(stop.prefix($0)) } ?? 0
    }
}
