import Foundation
import RetortPython

/// The text of a PDF, by poppler's `pdftotext`: a section for each page.
enum PDFText {
    /// - Throws: `DomainError.badDocument` for a file that is no PDF, or holds pictures alone; where poppler is missing.
    static func sections(of file: URL) async throws -> [DocumentSection] {
        let result = try await Command.run(
            "/usr/bin/env", ["pdftotext", "-q", "-enc", "UTF-8", file.path, "-"], seconds: seconds)
        guard result.status == 0 else {
            let reason = result.errorText.trimmingCharacters(in: .whitespacesAndNewlines)
            throw DomainError.badDocument(
                file: file.path,
                reason: result.status == 127
                    ? "pdftotext is not installed; install poppler-utils"
                    : "pdftotext cannot read it\(reason.isEmpty ? "" : ": \(reason)")")
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
