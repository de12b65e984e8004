import Foundation
import Mustache

/// The studio's pages as Mustache templates. Every value in them is escaped, except those in triple braces, which are
/// built from escaped text here.
struct StudioTemplates: Sendable {
    private let library: MustacheLibrary
    /// The style sheet, the script and the icon.
    let files: [String: (type: String, data: Data)]

    /// - Throws: `StudioError.damaged` when files of the program are missing.
    init() async throws {
        guard let folder = Bundle.module.url(forResource: "studio", withExtension: nil) else {
            throw StudioError.damaged("the folder of its pages")
        }
        library = try await MustacheLibrary(directory: folder.path)
        var files: [String: (type: String, data: Data)] = [:]
        for (name, type) in [
            ("studio.css", "text/css; charset=utf-8"), ("studio.js", "text/javascript; charset=utf-8"),
            ("studio.svg", "image/svg+xml"),
        ] {
            guard let data = try? Data(contentsOf: folder.appendingPathComponent(name)) else {
                throw StudioError.damaged(name)
            }
            files[name] = (type, data)
        }
        self.files = files
    }

    /// A whole page.
    func page(
        _ body: some Sendable, _ template: String, title: String, sections: [PageFrame.Section]
    ) throws -> String {
        try part(PageFrame(title: title, kind: template, sections: sections, body: body), template)
    }

    /// A part of a page.
    func part(_ body: some Sendable, _ template: String) throws -> String {
        guard let text = library.render(body, withTemplate: template) else {
            throw StudioError.damaged("\(template).mustache")
        }
        return text
    }
}

/// The frame around every page.
struct PageFrame: Sendable {
    struct Section: Sendable {
        let href: String
        let name: String
        let isHere: Bool
    }

    let title: String
    /// The template's name, which the style sheet and the script use.
    let kind: String
    let sections: [Section]
    let body: any Sendable
}

/// A studio that cannot start.
enum StudioError: Error, CustomStringConvertible {
    case damaged(String)

    var description: String {
        switch self {
        case .damaged(let part): "the studio's pages are not whole: \(part) is missing; install Retort anew"
        }
    }
}
