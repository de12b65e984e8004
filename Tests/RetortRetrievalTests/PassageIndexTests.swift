import Foundation
import RetortCore
import Testing

@testable import RetortRetrieval

@Suite("Passage index")
struct PassageIndexTests {
    private static let passages: [(id: String, contents: String)] = [
        ("3", "\"Orsel Vane\"\nOrsel Vane (born 1921) was a painter from Tirn."),
        ("1", "Tirn\nTirn is a town of 40,200 people in the north."),
        ("2", "Café Zürich\nA coffee house founded in 1899."),
        ("4", "Only a title"),
    ]

    private func found(_ query: String, limit: Int = 3) async throws -> [String] {
        try await PassageIndex(passages: Self.passages).search(query, limit: limit).map(\.id)
    }

    @Test("the first line is the title, without its quotation marks")
    func fields() async throws {
        // snippet: An index
        let passages = [
            (id: "1", contents: "Orsel Vane\nOrsel Vane (born 1921) was a painter from Tirn."),
            (id: "2", contents: "Tirn\nTirn is a town of 40,200 people in the north."),
        ]
        let found = try await PassageIndex(passages: passages).search("painter", limit: 3)
        #expect(found.map(\.title) == ["Orsel Vane"])
        // end snippet
        let index = try PassageIndex(passages: Self.passages)
        #expect(index.count == 4)
        let best = try #require(try await index.search("painter").first)
        #expect(best.title == "Orsel Vane")
        #expect(best.text == "Orsel Vane (born 1921) was a painter from Tirn.")
        #expect(best.score > 0)
        #expect(try await index.search("only title").first?.text == "")
    }

    @Test(
        "words are found one by one, whatever their case and accents",
        arguments: [
            ("cafe zurich", "2"), ("CAFE\u{301}", "2"), ("Who was Orsel Vane?", "3"), ("people 40,200", "1"),
            ("founded 1899 nonsense", "2"), ("north", "1"),
        ])
    func matching(query: String, id: String) async throws {
        #expect(try await found(query).first == id)
    }

    @Test("a word in the title weighs more than in the text")
    func titles() async throws {
        #expect(try await found("Tirn") == ["1", "3"])
    }

    @Test("stop-words count only when there is nothing else")
    func stopWords() async throws {
        #expect(SearchQuery.words(of: "Where was the painter of Tirn born?") == ["painter", "tirn", "born"])
        #expect(SearchQuery.words(of: "Who is it?") == ["who", "is", "it"])
        #expect(try await found("was") == ["3"])
    }

    @Test("passages of equal score come in the order of the corpus")
    func ties() async throws {
        let ids = (10..<60).map(String.init)
        for order in [ids, ids.reversed(), ids.shuffled()] {
            let index = try PassageIndex(passages: order.map { (id: $0, contents: "Same\nthe same words") })
            #expect(try await index.search("same words", limit: 7).map(\.id) == Array(order.prefix(7)))
        }
    }

    @Test(
        "any text is a valid query",
        arguments: [
            "", " ", "\"", "\"\"", "'", "AND", "OR NOT", "NEAR(a b, 2)", "title : Tirn", "-Tirn", "^Tirn", "Tirn*", "(",
            ")", "{title body} : x", "a + b", "🧪", "👩‍👩‍👧 Tirn", "日本語", "\0", "Tirn\0\"; DROP TABLE passage; --", "\\",
            "%_",
            "e\u{301}\u{301}\u{301}", "\u{FEFF}", "٣٤", "\u{10FFFF}\u{E000}", "NULL", "5' 11\"",
        ])
    func hostileQueries(query: String) async throws {
        let index = try PassageIndex(passages: Self.passages)
        _ = try await index.search(query)
        // Nothing was broken by it.
        #expect(try await index.search("Tirn").count == 2)
    }

    @Test("random texts are valid queries", arguments: 0..<4)
    func randomQueries(seed: UInt64) async throws {
        var generator = SeededGenerator(seed: seed)
        let index = try PassageIndex(passages: Self.passages)
        let alphabet = Array("aT9 \"'()*:^-+{}|\\\n\0é日🧪ORANDNOTNEAR,.;%_".unicodeScalars)
        for _ in 0..<200 {
            var query = String.UnicodeScalarView()
            for _ in 0..<Int.random(in: 0..<40, using: &generator) {
                query.append(alphabet[Int.random(in: alphabet.indices, using: &generator)])
            }
            _ = try await index.search(String(query))
        }
    }

    @Test("a whole page is a valid query")
    func longQuery() async throws {
        let page = (0..<5000).map { "word\($0)" }.joined(separator: " ")
        #expect(try await found("Tirn " + page).first == "1")
    }

    @Test("the limit is kept", arguments: [-1, 0, 1, 2, 100])
    func limits(limit: Int) async throws {
        #expect(try await found("tirn born town", limit: limit).count == min(max(limit, 0), 2))
    }

    @Test("an empty collection finds nothing")
    func empty() async throws {
        let index = try PassageIndex(passages: [(id: String, contents: String)]())
        #expect(try await index.search("Tirn").isEmpty)
    }

    @Test("searches run at the same time")
    func concurrency() async throws {
        let index = try PassageIndex(passages: Self.passages)
        try await withThrowingTaskGroup(of: [RetrievedPassage].self) { group in
            for _ in 0..<100 { group.addTask { try await index.search("Tirn") } }
            for try await found in group { #expect(found.map(\.id) == ["1", "3"]) }
        }
    }
}
