@testable import RetortDomains
import Testing
