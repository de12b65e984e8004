import RetortCore

/// Makes pronounceable names that do not repeat.
struct NameMaker {
    private var generator: SeededGenerator
    private var used: Set<String> = []

    private static let onsets = [
        "b", "br", "d", "dr", "f", "fl", "g", "gr", "h", "j", "k", "kl", "l", "m", "n", "p", "pr", "qu", "r", "s", "sh",
        "sk", "st", "t", "th", "tr", "v", "w", "y", "z",
    ]
    private static let vowels = ["a", "e", "i", "o", "u", "ai", "ea", "ei", "ou"]
    private static let codas = ["", "", "l", "m", "n", "r", "s", "ck", "nd", "rn", "ss", "th", "x"]
    private static let adjectives = [
        "Glass", "Silent", "Red", "Broken", "Last", "Golden", "Hidden", "Long", "Bright", "Hollow", "Winter", "Distant",
        "Paper", "Salt", "Iron", "Quiet", "Green", "Burning", "Lost", "Second",
    ]
    private static let nouns = [
        "Orchard", "River", "Lantern", "Garden", "Bridge", "Mirror", "Harbour", "Crown", "Letter", "Forest", "Tower",
        "Season", "Voyage", "Feather", "Clock", "Island", "Window", "Shadow", "Bell", "Road",
    ]
    private static let institutions = [
        "Institute", "Society", "Works", "Press", "Guild", "Academy", "Company", "Union",
    ]

    init(_ generator: SeededGenerator) { self.generator = generator }

    mutating func name(_ kind: EntityKind) -> String {
        while true {
            let candidate = draw(kind)
            if used.insert(candidate).inserted { return candidate }
        }
    }

    private mutating func draw(_ kind: EntityKind) -> String {
        switch kind {
        case .person: return "\(word(2)) \(word(2...3))"
        case .city:
            switch Int.random(in: 0..<6, using: &generator) {
            case 0: return "Port \(word(2))"
            case 1: return "\(word(2)) Falls"
            default: return word(2...3)
            }
        case .country: return word(2) + pick(["ia", "land", "ora", "mark", "stan"])
        case .organisation: return "\(word(2)) \(pick(Self.institutions))"
        case .work:
            return Bool.random(using: &generator)
                ? "The \(pick(Self.adjectives)) \(pick(Self.nouns)) of \(word(2))"
                : "\(word(2)) and the \(pick(Self.nouns))"
        }
    }

    /// A capitalised word of some syllables.
    mutating func word(_ syllables: ClosedRange<Int>) -> String { word(Int.random(in: syllables, using: &generator)) }

    mutating func word(_ syllables: Int) -> String {
        var text = ""
        for index in 0..<syllables {
            text += pick(Self.onsets) + pick(Self.vowels)
            if index == syllables - 1 { text += pick(Self.codas) }
        }
        return text.prefix(1).uppercased() + text.dropFirst()
    }

    private mutating func pick(_ list: [String]) -> String { list[Int.random(in: 0..<list.count, using: &generator)] }
}
