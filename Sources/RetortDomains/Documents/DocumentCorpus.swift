import Foundation
import RetortCore

/// A domain's documents, which are to become passages: a folder of Markdown, text, HTML and PDF files, one such file,
/// or JSON Lines of passages.
struct DocumentCorpus {
    private let place: URL
    private let files: [URL]
    /// The files of the folder that are not read, by their paths in it: of other kinds, and links to folders.
    let skipped: [String]

    /// The largest document, in bytes. A corpus of passages may have any size.
    private static let mostBytes = 64 << 20
    private static let endings: Set<String> = ["md", "markdown", "txt", "text", "html", "htm", "pdf", "jsonl"]

    /// - Throws: `DomainError` for a place without documents.
    init(_ place: URL) throws {
        self.place = place
        guard FileManager.default.fileExists(atPath: place.path) else {
            throw DomainError.noFile(what: "documents", path: place.path)
        }
        let all = try Self.files(place)
        let read = all.filter { Self.endings.contains($0.pathExtension.lowercased()) || Self.isLines($0) }
        files = read
        let others = Set(all).subtracting(read).map { $0.path } + Self.linkedFolders(place)
        skipped = others.map { String($0.dropFirst(place.standardizedFileURL.path.count)).trimmingPrefix("/") }
            .map(String.init).sorted()
        guard !files.isEmpty else {
            throw DomainError.badDocument(
                file: place.path,
                reason: "there is no document in it; known endings are \(Self.endings.sorted().joined(separator: ", "))"
            )
        }
    }

    /// Whether a file holds JSON Lines, compressed with gzip or not.
    private static func isLines(_ file: URL) -> Bool {
        let plain = file.pathExtension.lowercased() == "gz" ? file.deletingPathExtension() : file
        return plain.pathExtension.lowercased() == "jsonl"
    }

    /// The file itself, or all files of a folder and its subfolders except hidden ones, sorted by path.
    static func files(_ place: URL) throws -> [URL] {
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: place.path, isDirectory: &isFolder), isFolder.boolValue else {
            return [place]
        }
        let found = FileManager.default.enumerator(
            at: place, includingPropertiesForKeys: [.isRegularFileKey], options: [.skipsHiddenFiles])
        var files: [URL] = []
        while let file = found?.nextObject() as? URL {
            // A link to a file is read as the file.
            let target = file.resolvingSymlinksInPath()
            guard try target.resourceValues(forKeys: [.isRegularFileKey]).isRegularFile == true,
                !file.path.contains("/__pycache__/")
            else { continue }
            files.append(file.standardizedFileURL)
        }
        return files.sorted { $0.path < $1.path }
    }

    /// Links to folders within a folder, which are not followed.
    private static func linkedFolders(_ place: URL) -> [String] {
        let found = FileManager.default.enumerator(
            at: place, includingPropertiesForKeys: [.isSymbolicLinkKey], options: [.skipsHiddenFiles])
        return (found?.compactMap { $0 as? URL } ?? []).filter { file in
            let isLink = (try? file.resourceValues(forKeys: [.isSymbolicLinkKey]))?.isSymbolicLink == true
            return isLink && file.resolvingSymlinksInPath().isFolder
        }.map(\.standardizedFileURL.path)
    }

    /// The passages as JSON Lines of `{"id", "contents"}`: the corpus itself if it is such a file, otherwise a file
    /// made from the documents, which is made again when one of them has changed.
    func passages(keptIn folder: URL, name: String) async throws -> URL {
        if files.count == 1, Self.isLines(files[0]), try Self.isCorpus(files[0]) {
            return files[0]
        }
        let made = folder.appendingPathComponent("passages-\(name).jsonl")
        let mark = folder.appendingPathComponent("passages-\(name).sources.json")
        let sources = try files.map(Self.stamp)
        if FileManager.default.fileExists(atPath: made.path), let data = try? Data(contentsOf: mark),
            (try? JSONCoding.decoder.decode([String].self, from: data)) == sources
        {
            return made
        }
        try? FileManager.default.removeItem(at: mark)
        var written: [URL: [Record]] = [:]
        for file in files where !Self.isLines(file) { written[file] = try await passages(of: file) }
        try write(written, to: made)
        let size = try FileManager.default.attributesOfItem(atPath: made.path)[.size] as? Int ?? 0
        guard size > 0 else {
            throw DomainError.badDocument(file: place.path, reason: "no document in it holds a text")
        }
        try AtomicFile.write(JSONCoding.encoder.encode(sources), to: mark)
        return made
    }

    /// Writes the passages of all files in their order.
    /// - Parameter passages: those of documents; JSON Lines are streamed instead, because they may be larger than
    ///   memory.
    private func write(_ passages: [URL: [Record]], to made: URL) throws {
        var failure: (any Error)?
        do {
            try AtomicFile.write(to: made) { target in
                func write(_ record: Record) throws {
                    try target.write(contentsOf: ExactJSON.encode(record) + Data("\n".utf8))
                }
                do {
                    for file in files {
                        for record in passages[file] ?? [] { try write(record) }
                        if Self.isLines(file) { try forEachRecord(of: file, write) }
                    }
                } catch {
                    failure = error
                    throw error
                }
            }
        } catch {
            // A fault of a document is reported as such.
            throw failure ?? error
        }
    }

    private static func stamp(_ file: URL) throws -> String {
        let values = try file.resourceValues(forKeys: [.fileSizeKey, .contentModificationDateKey])
        let changed = values.contentModificationDate?.timeIntervalSince1970 ?? 0
        return "\(file.path) \(values.fileSize ?? 0) \(changed)"
    }

    private struct Record: Encodable {
        let id: String
        let contents: String
    }

    /// A file's path in the folder.
    private func path(of file: URL) -> String {
        let root = place.path.hasSuffix("/") ? place.path : place.path + "/"
        return file.path.hasPrefix(root) ? String(file.path.dropFirst(root.count)) : file.lastPathComponent
    }

    private func passages(of file: URL) async throws -> [Record] {
        let path = path(of: file)
        let size = try file.resourceValues(forKeys: [.fileSizeKey]).fileSize ?? 0
        guard size <= Self.mostBytes else {
            throw DomainError.badDocument(
                file: file.path,
                reason:
                    "it has \(size >> 20) MB; at most \(Self.mostBytes >> 20) are read. Split it, or give JSON Lines of "
                    + "passages")
        }
        let sections: [DocumentSection]
        switch file.pathExtension.lowercased() {
        case "pdf": sections = try await PDFText.sections(of: file)
        case "html", "htm": sections = HTMLText(try Self.text(file)).sections
        case "md", "markdown": sections = DocumentSection.markdown(try Self.text(file))
        default: sections = [DocumentSection(heading: nil, text: try Self.text(file))]
        }
        let title = file.deletingPathExtension().lastPathComponent.replacing("_", with: " ").replacing("-", with: " ")
        return DocumentSection.passages(sections, title: title).enumerated().map { index, passage in
            Record(id: "\(path)#\(index + 1)", contents: passage)
        }
    }

    private static func text(_ file: URL) throws -> String {
        guard let text = String(data: try Data(contentsOf: file), encoding: .utf8) else {
            throw DomainError.badDocument(file: file.path, reason: "it is not UTF-8; save it in that encoding")
        }
        return text.replacing("\r\n", with: "\n").replacing("\u{FEFF}", with: "").replacing("\0", with: " ")
    }

    // MARK: JSON Lines

    /// Whether a file's records have the index's own form.
    private static func isCorpus(_ file: URL) throws -> Bool {
        var isOwn = false
        do {
            try JSONLinesFile(file).forEach(JSONValue.self) { record, _ in
                isOwn = record["contents"] != nil && record["id"] != nil && record["title"] == nil
                throw Enough()
            }
        } catch is Enough {}
        return isOwn
    }

    private struct Enough: Error {}

    /// Reads passages with separate titles: `{"id", "title", "contents"}`, or `text` for `contents`.
    private func forEachRecord(of file: URL, _ body: (Record) throws -> Void) throws {
        let path = path(of: file)
        try JSONLinesFile(file).forEach(JSONValue.self) { record, line in
            guard let text = record["contents"]?.string ?? record["text"]?.string else {
                throw DomainError.badDocument(
                    file: file.path, reason: "line \(line): a passage needs a text 'contents' (or 'text')")
            }
            let contents = record["title"]?.string.map { "\($0)\n\(text)" } ?? text
            try body(Record(id: record["id"]?.text ?? "\(path)#\(line)", contents: contents))
        }
    }
}
