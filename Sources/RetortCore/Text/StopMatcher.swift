/// Cuts a growing text at the first stop string, and holds back what may yet become one.
///
/// Texts are compared by Unicode scalar, as servers do: by Swift's characters a line end of Windows would hide a stop that
/// begins with a line feed, and an accent the letter before it.
public struct StopMatcher: Sendable {
    private let stops: [[Unicode.Scalar]]
    private var held: [Unicode.Scalar] = []

    /// - Parameter stops: empty ones are left out.
    public init(_ stops: [String]) { self.stops = stops.filter { !$0.isEmpty }.map { Array($0.unicodeScalars) } }

    /// Takes new text; returns what is safe to show, and the stop string once one is complete.
    public mutating func push(_ text: String) -> (text: String, stop: String?) {
        held += text.unicodeScalars
        for start in held.indices {
            guard let stop = stops.first(where: { held[start...].starts(with: $0) }) else { continue }
            defer { held = [] }
            return (Self.text(held[..<start]), Self.text(stop[...]))
        }
        let kept = stops.map { overlap(with: $0) }.max() ?? 0
        let safe = Self.text(held.dropLast(kept))
        held = held.suffix(kept)
        return (safe, nil)
    }

    /// What was held back, when the text ends without a stop string.
    public mutating func flush() -> String {
        defer { held = [] }
        return Self.text(held[...])
    }

    /// How many scalars at the end of what is held could be the beginning of `stop`.
    private func overlap(with stop: [Unicode.Scalar]) -> Int {
        (0..<stop.count).reversed().first { held.suffix($0).elementsEqual(stop.prefix($0)) && $0 <= held.count } ?? 0
    }

    private static func text(_ scalars: some Collection<Unicode.Scalar>) -> String {
        String(String.UnicodeScalarView(scalars))
    }
}
