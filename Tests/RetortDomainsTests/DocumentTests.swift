import Foundation
import Testing

@testable import RetortDomains

@Suite("Documents become passages")
struct DocumentTests {
    @Test("Markdown is cut at its headings, and a passage names all of them")
    func markdown() {
        let sections = DocumentSection.markdown(
            "Intro.\n\n# Trips\n\nBy train.\n\n## Rome\n\n```\n# no heading\n```\n# End\nBye.")
        #expect(sections.map(\.heading) == [nil, "Trips", "Trips › Rome", "End"])
        #expect(sections[2].text.contains("# no heading"))
        #expect(DocumentSection.passages(sections, title: "guide").first == "guide\nIntro.")
    }

    @Test("long paragraphs are cut at the ends of sentences, and nothing is lost")
    func long() {
        let sentence = "The quick brown fox jumps over the lazy dog. "
        let text = String(repeating: sentence, count: 100)
        let passages = DocumentSection.passages([DocumentSection(heading: "Fox", text: text)], title: "")
        #expect(passages.count > 3)
        #expect(passages.allSatisfy { $0.count <= DocumentSection.mostCharacters + 5 && $0.hasSuffix(".") })
        #expect(passages.map { $0.components(separatedBy: "quick").count - 1 }.reduce(0, +) == 100)
    }

    @Test("HTML is read without scripts, by its headings, entities as characters")
    func html() {
        let page = HTMLText(
            "<html><head><title>x</title></head><body><h1>A &amp; B</h1><p>One &#233;t&eacute;.</p><script>if (a<b) {}</script>"
                + "<ul><li>Two</li><li>3 &lt; 4</li></ul><h2>C</h2>Three<!-- hidden --></body></html>")
        #expect(page.sections.map(\.heading) == ["A & B", "A & B › C"])
        #expect(page.sections[0].text.contains("One été."))
        #expect(page.sections[0].text.contains("3 < 4"))
        #expect(!page.sections.contains { $0.text.contains("if (a") || $0.text.contains("hidden") })
    }

    private func text(_ html: String) -> String {
        HTMLText(html).sections.map(\.text).joined(separator: "\n").replacing(/\n+/, with: "\n")
    }

    @Test("a sign that begins no tag is text")
    func signs() {
        #expect(text("<p>price < 100 euro and a<5</p><p>x <= y < b") == "price < 100 euro and a<5\nx <= y < b")
        #expect(text("<p>end <b") == "end <b")
    }

    @Test("hidden elements that are not closed hide no text")
    func unclosed() {
        #expect(text("<html><head><title>t</title><body><p>Seen.</p><header>Top</header></body>") == "Seen.\nTop")
        #expect(text("<head><title>t</title><p>Seen.</p>") == "Seen.")
        #expect(text("<nav>Menu<p>Seen.</p>") == "Menu\nSeen.")
        #expect(text("<head><meta></head>Seen.<script>x = 1") == "Seen.")
    }

    @Test("named and numbered characters are what they name, and unknown names stay")
    func entities() {
        #expect(
            text("&uuml;ber &Eacute; &sup2; &Omega; &rarr; &trade;&nbsp;&#8364;&#x20AC;&#150; &nope; &yuml;")
                == "über É ² Ω → ™ €€– &nope; ÿ")
    }

    @Test("a folder of documents tells which files are not read, and follows links to files")
    func skipped() async throws {
        let folder = try DomainFolder([
            "docs/a.md": "# A\nOne.", "docs/b.rst": "Two", "docs/sub/c.csv": "3", "more/d.md": "Four\0afterword",
            "kept/x": "",
        ])
        defer { folder.remove() }
        let docs = folder.url.appendingPathComponent("docs")
        for (name, target) in [("d.md", "more/d.md"), ("linked", "more")] {
            try FileManager.default.createSymbolicLink(
                at: docs.appendingPathComponent(name), withDestinationURL: folder.url.appendingPathComponent(target))
        }
        let corpus = try DocumentCorpus(docs)
        #expect(corpus.skipped == ["b.rst", "linked", "sub/c.csv"])
        let made = try await corpus.passages(keptIn: folder.url.appendingPathComponent("kept"), name: "p")
        let text = try String(contentsOf: made, encoding: .utf8)
        #expect(text.contains("One.") && text.contains("Four afterword"))
    }

    @Test("documents without a text are an error")
    func noText() async throws {
        let folder = try DomainFolder(["docs/a.md": "", "docs/b.txt": " \n"])
        defer { folder.remove() }
        let corpus = try DocumentCorpus(folder.url.appendingPathComponent("docs"))
        let error = await #expect(throws: DomainError.self) { try await corpus.passages(keptIn: folder.url, name: "p") }
        #expect(error?.description.contains("no document in it holds a text") == true)
    }
}
