// Holds every PDF of a folder against PDF/A-3b by veraPDF, and says what is wrong with those that are not it.
//
//     java -cp 'libs/*:classes' CheckPdfs FOLDER
//
// Exits with 0 when all are valid, with 1 when one is not, and with 2 when there was none to check: that is no success.

import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Collectors;

import org.verapdf.gf.foundry.VeraGreenfieldFoundryProvider;
import org.verapdf.pdfa.Foundries;
import org.verapdf.pdfa.PDFAParser;
import org.verapdf.pdfa.PDFAValidator;
import org.verapdf.pdfa.flavours.PDFAFlavour;
import org.verapdf.pdfa.results.TestAssertion;
import org.verapdf.pdfa.results.ValidationResult;

public final class CheckPdfs {
    private CheckPdfs() {}

    public static void main(String[] arguments) throws Exception {
        VeraGreenfieldFoundryProvider.initialise();
        List<Path> files;
        try (var found = Files.list(Path.of(arguments[0]))) {
            files = found.filter(file -> file.toString().endsWith(".pdf")).sorted().collect(Collectors.toList());
        }
        if (files.isEmpty()) {
            System.err.println("check-pdfs: there is no PDF in " + arguments[0]);
            System.exit(2);
        }
        long checks = 0;
        int invalid = 0;
        for (Path file : files) {
            try (InputStream bytes = Files.newInputStream(file);
                    PDFAParser parser = Foundries.defaultInstance().createParser(bytes)) {
                PDFAFlavour flavour = parser.getFlavour();
                // Against what a report promises, not against what the file says of itself.
                PDFAValidator validator =
                        Foundries.defaultInstance().createValidator(PDFAFlavour.PDFA_3_B, false);
                ValidationResult result = validator.validate(parser);
                checks += result.getTotalAssertions();
                if (flavour != PDFAFlavour.PDFA_3_B || !result.isCompliant()) {
                    invalid++;
                    System.err.println("check-pdfs: " + file + " is no PDF/A-3b; it says that it is " + flavour);
                    result.getTestAssertions().stream().limit(10).forEach(CheckPdfs::printFailure);
                }
            } catch (Exception unreadable) {
                invalid++;
                System.err.println("check-pdfs: " + file + " cannot be read as a PDF: " + unreadable);
            }
        }
        System.out.println("check-pdfs: " + files.size() + " PDFs against PDF/A-3b, " + checks + " checks, "
                + invalid + " not valid");
        System.exit(invalid == 0 ? 0 : 1);
    }

    private static void printFailure(TestAssertion failure) {
        System.err.println("  clause " + failure.getRuleId().getClause() + ", test "
                + failure.getRuleId().getTestNumber() + ": " + failure.getMessage());
    }
}
