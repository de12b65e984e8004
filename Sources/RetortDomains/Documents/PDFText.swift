import Foundation
import RetortProcesses
import RetortPython

/// The text of a PDF, extracted by poppler's `pdftotext`: a section for each page.
enum PDFText {
    /// - Throws: `DomainError.badDocument` when the file is not a PDF or has no text, or when poppler is missing.
    static func sections(of file: URL) async throws -> [DocumentSection] {
        let path = ProcessInfo.processInfo.environment["PATH"] ?? "/usr/local/bin:/usr/bin:/bin"
        guard let program = try? ProgramSearch.find("pdftotext", path: path) else {
            throw DomainError.badDocument(
                file: file.path, reason: "pdftotext is not installed; install poppler-utils")
        }
        let result = try await Command.run(program, ["-q", "-enc", "UTF-8", file.path, "-"], seconds: seconds)
        guard result.status == 0 else {
            let reason = result.errorText.trimmingCharacters(in: .whitespacesAndNewlines)
            throw DomainError.badDocument(
                file: file.path,
                reason: "pdftotext cannot read it\(reason.isEmpty ? "" : ": \(reason)")")
        }
        let pages = String(decoding: result.output, as: UTF8.self).split(
            separator: "\u{0C}", omittingEmptySubsequences: false)
        let name = file.deletingPathExtension().lastPathComponent
        let sections = pages.enumerated().compactMap { index, page -> DocumentSection? in
            let text = page.trimmingCharacters(in: .whitespacesAndNewlines)
            return text.isEmpty ? nil : DocumentSection(heading: "\(name), page \(index + 1)", text: text)
        }
        guard !sections.isEmpty else {
            throw DomainError.badDocument(
                file: file.path, reason: "it holds no text, only pictures; run it through OCR first, or leave it out")
        }
        return sections
    }

    private static let seconds = 120.0
}
