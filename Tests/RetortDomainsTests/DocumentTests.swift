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
        #expect(page.sections[0].text.contains("One ét&eacute;."))
        #expect(page.sections[0].text.contains("3 < 4"))
        #expect(!page.sections.contains { $0.text.contains("if (a") || $0.text.contains("hidden") })
    }
}
