/// A part of a grammar, made ready for reading: what it is made of are other parts, by their number. Equal parts are one.
enum GrammarNode: Hashable, Sendable {
    /// No text at all.
    case nothing
    case text([UInt8])
    case choice([Int])
    case sequence([Int])
    case prose(GrammarProse)
    case anything(limit: Int)
    /// A JSON value of any kind.
    case anyValue
    case number(JSONNumberRule)
    case string(JSONStringRule)
    case array(JSONArrayRule)
    case object(JSONObjectRule)
}

/// Free text up to the first of its endings.
struct GrammarProse: Hashable, Sendable {
    let limit: Int
    let endings: [Ending]
    /// All beginnings of endings, the empty one first.
    let beginnings: [[UInt8]]

    struct Ending: Hashable, Sendable {
        let bytes: [UInt8]
        let next: Int
    }

    init(limit: Int, endings: [Ending]) {
        self.limit = limit
        self.endings = endings
        var beginnings: Set<[UInt8]> = []
        for ending in endings {
            for length in 1..<max(ending.bytes.count, 1) { beginnings.insert(Array(ending.bytes.prefix(length))) }
        }
        self.beginnings = [[]] + beginnings.sorted { $0.lexicographicallyPrecedes($1) }
    }

    /// What a byte leads to.
    enum Step {
        case ended(next: Int)
        /// The longest beginning of an ending that the text now ends with.
        case goesOn(begun: Int)
    }

    func step(_ begun: Int, _ byte: UInt8) -> Step {
        let recent = beginnings[begun] + [byte]
        if let ending = endings.first(where: {
            $0.bytes.count <= recent.count && recent.suffix($0.bytes.count) == $0.bytes[...]
        }) {
            return .ended(next: ending.next)
        }
        for length in (1...recent.count).reversed() {
            let end = Array(recent.suffix(length))
            if let known = beginnings.firstIndex(of: end) { return .goesOn(begun: known) }
        }
        return .goesOn(begun: 0)
    }
}

struct JSONArrayRule: Hashable, Sendable {
    let prefix: [Int]
    let items: Int
    let minimum: Int
    let maximum: Int

    func element(_ index: Int) -> Int { index < prefix.count ? prefix[index] : items }
}

struct JSONObjectRule: Hashable, Sendable {
    struct Member: Hashable, Sendable {
        /// The name as a JSON text.
        let key: [UInt8]
        let value: Int
    }

    let members: [Member]
    let required: MemberSet
    /// What members of other names may be, where there are any.
    let others: Int?
}

/// Some of an object's members, by their place.
struct MemberSet: Hashable, Sendable {
    private var words: [UInt64]

    init(_ places: some Sequence<Int>, of count: Int) {
        words = Array(repeating: 0, count: (count + 63) / 64)
        for place in places { words[place / 64] |= 1 << UInt64(place % 64) }
    }

    func contains(_ place: Int) -> Bool { words[place / 64] & (1 << UInt64(place % 64)) != 0 }

    func without(_ place: Int) -> MemberSet {
        var set = self
        set.words[place / 64] &= ~(1 << UInt64(place % 64))
        return set
    }

    func isDisjoint(with other: MemberSet) -> Bool { zip(words, other.words).allSatisfy { $0 & $1 == 0 } }
}
