/// Words behind a number that change what it says, unlike a noun: `5 units left`, `6 p.m.`, `5% increase`.
enum Opposites {
    private static let groups: [Set<String>] = [
        ["left", "right"], ["up", "down"], ["north", "south", "east", "west"], ["increase", "decrease"],
        ["increased", "decreased"], ["gain", "loss"], ["profit", "loss"], ["above", "below"], ["before", "after"],
        ["more", "less", "fewer"], ["clockwise", "counterclockwise"], ["ago", "later"], ["older", "younger"],
        ["am", "pm"], ["ahead", "behind"], ["faster", "slower"], ["even", "odd"],
    ]

    /// Whether two units contain opposite words.
    static func areOpposed(_ a: String, _ b: String) -> Bool {
        let (x, y) = (words(a), words(b))
        return groups.contains { group in
            let (left, right) = (x.intersection(group), y.intersection(group))
            return !left.isEmpty && !right.isEmpty && left.isDisjoint(with: right)
        }
    }

    /// Whether a word has an opposite.
    static func isOne(_ word: String) -> Bool { groups.contains { $0.contains(word) } }

    /// `am` or `pm`; nil for other units.
    static func half(ofDay unit: String) -> String? { words(unit).first { $0 == "am" || $0 == "pm" } }

    private static func words(_ unit: String) -> Set<String> {
        let plain = unit.lowercased().replacing(/\b([ap])\s*[.\/]\s*m\b/) { "\($0.1)m" }
        return Set(plain.split { !$0.isLetter }.map(String.init))
    }
}
