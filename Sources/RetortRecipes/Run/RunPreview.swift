import Foundation
import RetortPython

extension RecipeRun {
    /// Opens a run only to inspect it. If its folder does not exist, or is empty, a temporary one is used and removed
    /// again, so that nothing is left behind.
    /// - Parameter body: asks the run for its plan or its estimate.
    /// - Throws: what opening and `body` throw.
    public static func preview<Answer>(
        _ recipe: Recipe, folder: URL, requiring sandbox: SandboxLevel = .restricted,
        _ body: (RecipeRun) async throws -> Answer
    ) async throws -> Answer {
        let files = FileManager.default
        let isThere = (try? files.contentsOfDirectory(atPath: folder.path))?.isEmpty == false
        guard !isThere else {
            return try await RecipeRun(recipe, folder: folder, requiring: sandbox).closing(after: body)
        }
        let other = files.temporaryDirectory.appendingPathComponent("retort-preview-\(UUID().uuidString)")
        defer { try? files.removeItem(at: other) }
        return try await RecipeRun(recipe, folder: other, requiring: sandbox).closing(after: body)
    }

    /// Calls `body` with the run and then closes the run.
    public func closing<Answer>(after body: (RecipeRun) async throws -> Answer) async throws -> Answer {
        do {
            let answer = try await body(self)
            await close()
            return answer
        } catch {
            await close()
            throw error
        }
    }
}
