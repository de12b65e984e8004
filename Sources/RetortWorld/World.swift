import Foundation
import RetortCore

/// A fictional world, the same for the same seed: people, cities, countries, organisations and books, and facts that
/// lead from one to the next.
public struct World: Sendable {
    /// Something the encyclopedia has an article about.
    public struct Entity: Sendable, Hashable {
        /// Its place in `entities`.
        public let index: Int
        /// What it is.
        public let kind: EntityKind
        /// Its title in the encyclopedia.
        public let name: String
    }

    /// The value of a fact.
    public enum Value: Sendable, Hashable {
        /// Another entity, by its index.
        case entity(Int)
        /// A year, or a number of people.
        case number(Int)
    }

    /// All entities; people first.
    public let entities: [Entity]
    private let facts: [[Relation: Value]]
    private let byKind: [EntityKind: [Int]]
    private let passageSeed: UInt64

    /// - Parameter people: how many; the other kinds are proportional (about 2.4 entities per person in all).
    public init(seed: UInt64, people: Int) {
        var names = NameMaker(SeededGenerator(seed: seed, "names"))
        var generator = SeededGenerator(seed: seed, "facts")
        let counts: [(EntityKind, Int)] = [
            (.person, people), (.city, max(people / 2, 4)), (.country, max(people / 10, 2)),
            (.organisation, max(people * 3 / 10, 3)), (.work, max(people / 2, 4)),
        ]
        var entities: [Entity] = []
        for (kind, count) in counts {
            for _ in 0..<count { entities.append(Entity(index: entities.count, kind: kind, name: names.name(kind))) }
        }
        let byKind = Dictionary(grouping: entities.indices) { entities[$0].kind }
        facts = entities.map { entity in
            var known: [Relation: Value] = [:]
            for relation in Relation.of(entity.kind) {
                known[relation] = Self.draw(relation, of: entity, byKind, &generator)
            }
            return known
        }
        self.entities = entities
        self.byKind = byKind
        passageSeed = seed
    }

    private static func draw(
        _ relation: Relation, of entity: Entity, _ byKind: [EntityKind: [Int]], _ generator: inout SeededGenerator
    ) -> Value {
        if let kind = relation.value {
            let others = byKind[kind, default: []].filter { $0 != entity.index }
            return .entity(others[Int.random(in: 0..<others.count, using: &generator)])
        }
        switch relation {
        case .population:
            let scale = [1_000, 10_000, 100_000, 1_000_000][Int.random(in: 0..<4, using: &generator)]
            return .number(Int.random(in: scale..<scale * 10, using: &generator))
        default: return .number(Int.random(in: 1400..<2000, using: &generator))
        }
    }

    /// The indices of all entities of a kind.
    func indices(of kind: EntityKind) -> [Int] { byKind[kind, default: []] }

    /// The value of an entity's fact; nil when entities of its kind have no such fact.
    public func value(_ relation: Relation, of entity: Int) -> Value? { facts[entity][relation] }

    /// A value as text: the entity's name, or the number in digits.
    public func text(_ value: Value) -> String {
        switch value {
        case .entity(let index): entities[index].name
        case .number(let number): String(number)
        }
    }

    /// A fact as one plain sentence; nil when there is no such fact.
    public func statement(_ relation: Relation, of entity: Int) -> String? {
        value(relation, of: entity).map {
            relation.statement.filled(subject: entities[entity].name, value: text($0))
        }
    }

    /// The article about an entity: its title, and all its facts in varied wording and order.
    public func passage(_ entity: Int) -> Passage {
        var generator = SeededGenerator(seed: passageSeed, "passage \(entity)")
        let subject = entities[entity]
        let relations = Relation.of(subject.kind).shuffled(using: &generator)
        let pronoun = ["person": "This person", "city": "It", "country": "The country", "work": "The book"][
            subject.kind.rawValue, default: "It"]
        let sentences = relations.enumerated().compactMap { position, relation -> String? in
            guard let value = value(relation, of: entity) else { return nil }
            // The first sentence names the subject, so that a passage can be understood on its own.
            let templates = position == 0 ? relation.sentences.filter { $0.contains("{s}") } : relation.sentences
            let template = templates[Int.random(in: 0..<templates.count, using: &generator)]
            // A capitalised pronoun is used only where a sentence begins.
            let named = position == 0 || !template.hasPrefix("{s}") || Int.random(in: 0..<3, using: &generator) == 0
            let name = named ? subject.name : pronoun
            return template.filled(subject: name, value: text(value))
        }
        return Passage(
            id: "\(subject.kind.rawValue)-\(entity)", contents: subject.name + "\n" + sentences.joined(separator: " "))
    }

    /// All articles.
    public var passages: [Passage] { entities.indices.map(passage) }

    /// Writes all articles as JSON Lines of `{"id","contents"}`.
    public func writePassages(to file: URL) throws {
        let encoder = JSONCoding.encoder
        try AtomicFile.write(to: file) { handle in
            for passage in passages { try handle.write(contentsOf: encoder.encode(passage) + Data("\n".utf8)) }
        }
    }
}

/// An article: title on the first line, then its text.
public struct Passage: Codable, Sendable, Hashable {
    /// The kind and index of its entity, such as `city-1204`.
    public var id: String
    /// Title, line break, text.
    public var contents: String
}
