import Testing

@testable import RetortRetrieval

@Suite("Snippets of passages")
struct SnippetTests {
    private let text =
        "Vane was a painter. He was born in Tirn in 1820. J. R. Moss taught him to paint ships! Did he travel? He died at 3.5 miles from Oss."

    @Test("a short passage is shown whole")
    func whole() { #expect(PassageSnippet.of(text, for: "ships", characters: 500) == text) }

    @Test("a long one is cut to whole sentences around the query's words")
    func sentences() {
        #expect(
            PassageSnippet.sentences(text) == [
                "Vane was a painter.", "He was born in Tirn in 1820.", "J. R. Moss taught him to paint ships!",
                "Did he travel?",
                "He died at 3.5 miles from Oss.",
            ])
        #expect(
            PassageSnippet.of(text, for: "Who taught Vane?", characters: 40) == "J. R. Moss taught him to paint ships!")
        #expect(
            PassageSnippet.of(text, for: "painter born Tirn", characters: 60)
                == "Vane was a painter. He was born in Tirn in 1820.")
    }

    @Test("a sentence that is too long is cut behind a word", arguments: [10, 20, 33])
    func long(characters: Int) {
        let sentence = "word " + String(repeating: "another ", count: 30)
        let found = PassageSnippet.of(sentence, for: "word", characters: characters)
        #expect(found.count <= characters && found.hasSuffix("…") && !found.hasSuffix(" …"))
    }

    @Test(
        "whatever the text is, a snippet is no longer than it may be",
        arguments: ["", "。！？", "...", "\n\n", "a.b.c ", "日本。東京！ "])
    func hostile(part: String) {
        for characters in [40, 41, 100] {
            let found = PassageSnippet.of(String(repeating: part, count: 60), for: "a b", characters: characters)
            #expect(found.count <= characters)
        }
    }
}
